import { Place } from "./place.js";

/** Something that a person must know about one flag of a file. */
export interface Finding {
  /** The flag's key; empty where it has none. */
  readonly key: string;
  /** The place inside the file, such as `flags.header-color.targeting.if[1].cat[0]`. */
  readonly path: string;
  readonly description: string;
}

/** Collects what is found while one flag is translated. A refusal does not stop the work: every one is reported. */
export class Findings {
  readonly #refused: Finding[] = [];
  readonly #warnings: Finding[] = [];

  constructor(readonly key: string) {}

  get refused(): readonly Finding[] {
    return this.#refused;
  }

  get warnings(): readonly Finding[] {
    return this.#warnings;
  }

  /** The flag cannot be translated. */
  refuse(place: Place, description: string): void {
    const isKnown = this.#refused.some((f) => f.path === place.path && f.description === description);
    if (!isKnown) this.#refused.push({ key: this.key, path: place.path, description });
  }

  /** The flag is translated, with a reservation. Given once, however often it applies to the flag. */
  warn(place: Place, description: string): void {
    if (this.#warnings.some((f) => f.description === description)) return;
    this.#warnings.push({ key: this.key, path: place.path, description });
  }

  /** Takes over what an attempt found. */
  adopt({ refused, warnings }: Findings): void {
    for (const { path, description } of refused) this.refuse(new Place(path), description);
    for (const { path, description } of warnings) this.warn(new Place(path), description);
  }
}
