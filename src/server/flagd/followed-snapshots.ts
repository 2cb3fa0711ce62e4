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
  #revision: bigint | undefined;
  #all: Snapshots = NO_SNAPSHOTS;

  constructor(head: Head) {
    this.#head = head;
  }

  all(): Snapshots {
    const { revision, catalog } = this.#head;
    if (revision === this.#revision) return this.#all;
    this.#revision = revision;
    const all = new Map<string, Snapshot>();
    for (const name of catalog.environmentNames()) {
      const snapshot = this.#head.snapshot(name);
      if (snapshot !== undefined) all.set(name, snapshot);
    }
    this.#all = all;
    return all;
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
