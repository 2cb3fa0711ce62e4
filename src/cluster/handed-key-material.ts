import type { KeyMaterial, KeyMaterialSource } from "../server/index.js";

/** What the supervisor has found in its files, and finds later: no worker meets a file that is half written. */
export class HandedKeyMaterial implements KeyMaterialSource {
  readonly #listeners = new Set<() => void>();
  #current: KeyMaterial;

  constructor(first: KeyMaterial) {
    this.#current = first;
  }

  get current(): KeyMaterial {
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  replace(material: KeyMaterial): void {
    this.#current = material;
    for (const listener of this.#listeners) listener();
  }
}
