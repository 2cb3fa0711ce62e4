import type { Snapshot } from "../../engine/index.js";
import type { Head } from "../state/head.js";

/** Snapshots by the name of their environment. An immutable value. */
export type Snapshots = ReadonlyMap<string, Snapshot>;

export const NO_SNAPSHOTS: Snapshots = new Map();

/** The snapshots that streams follow: for all of them the same object, which is another one when a snapshot is. */
export class FollowedSnapshots {
  readonly #head: Head;
  /** Of each environment alone. */
  readonly #single = new WeakMap<Snapshot, Snapshots>();
  /** Of several, by their names, at `#revision`. */
  readonly #many = new Map<string, Snapshots>();
  #revision: bigint | undefined;

  constructor(head: Head) {
    this.#head = head;
  }

  /** Those of some environments, as far as they exist; of all if none are named. */
  many(wanted: readonly string[]): Snapshots {
    const { revision, catalog } = this.#head;
    if (revision !== this.#revision) this.#many.clear();
    this.#revision = revision;
    const names = wanted.length === 0 ? catalog.environmentNames() : wanted;
    const key = names.join("\n");
    const known = this.#many.get(key);
    if (known !== undefined) return known;
    const made = new Map<string, Snapshot>();
    for (const name of names) {
      const snapshot = this.#head.snapshot(name);
      if (snapshot !== undefined) made.set(name, snapshot);
    }
    this.#many.set(key, made);
    return made;
  }

  /** Undefined for an environment that does not exist. */
  one(environment: string): Snapshots | undefined {
    const snapshot = this.#head.snapshot(environment);
    if (snapshot === undefined) return undefined;
    const known = this.#single.get(snapshot);
    if (known !== undefined) return known;
    const made: Snapshots = new Map([[environment, snapshot]]);
    this.#single.set(snapshot, made);
    return made;
  }
}
