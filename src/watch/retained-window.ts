import { invariant } from "../base/index.js";
import type { WatchItemId } from "./item.js";

/** What one revision changed in an environment. */
export interface RetainedChange {
  readonly revision: bigint;
  /** Each flag or segment that it touched. */
  readonly ids: readonly WatchItemId[];
}

/**
 * The recent past of an environment: which ids each revision changed, bounded by the number of ids. It holds no content,
 * because whoever is behind is sent the latest state of what changed. Revisions that changed nothing take no room.
 */
export class RetainedWindow {
  /** Oldest first, from `#start`; what is before has been dropped and is cut off now and then. */
  #changes: RetainedChange[] = [];
  #start = 0;
  #idCount = 0;
  #floor: bigint;

  constructor(
    floor: bigint,
    readonly maxIds: number,
  ) {
    this.#floor = floor;
  }

  /** From this revision on, `since` knows every change. */
  get floor(): bigint {
    return this.#floor;
  }

  /** Adds the newest change. */
  add(change: RetainedChange): void {
    if (change.ids.length === 0) return;
    const newest = this.#changes.at(-1)?.revision ?? this.#floor;
    invariant(change.revision > newest, `change ${change.revision} came after ${newest}`);
    this.#changes.push(change);
    this.#idCount += change.ids.length;
    while (this.#idCount > this.maxIds) this.#dropOldest();
  }

  /** The ids that changed after `revision`, each once. `revision` must not be below the floor. */
  since(revision: bigint): Set<WatchItemId> {
    const ids = new Set<WatchItemId>();
    for (let index = this.#indexAfter(revision); index < this.#changes.length; index++) {
      for (const id of this.#changes[index]?.ids ?? []) ids.add(id);
    }
    return ids;
  }

  #dropOldest(): void {
    const oldest = this.#changes[this.#start];
    invariant(oldest !== undefined, "the window counts ids that it does not hold");
    this.#floor = oldest.revision;
    this.#idCount -= oldest.ids.length;
    this.#start++;
    // Cutting off half at a time makes it a constant cost for each change.
    if (this.#start * 2 > this.#changes.length) {
      this.#changes = this.#changes.slice(this.#start);
      this.#start = 0;
    }
  }

  /** The index of the first change after `revision`, by bisection. */
  #indexAfter(revision: bigint): number {
    let low = this.#start;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const change = this.#changes[middle];
      if (change !== undefined && change.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
