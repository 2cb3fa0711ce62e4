import type { Snapshot } from "../engine/index.js";

/** How often a mirror answered a variant of a flag. */
export interface FlagUsage {
  readonly flagKey: string;
  /** Undefined: there was no value, and callers used their own default. */
  readonly variant: string | undefined;
  readonly count: number;
  /** The newest that it can have been answered at: the mirror's when it was taken, or when the flag last changed. */
  readonly revision: number;
}

/** Variants that are kept while nobody takes them. Flags that come and go for months must not fill the memory. */
const MAX_KEPT = 100_000;

/**
 * The evaluations of a mirror, by flag and variant. What a snapshot's flags were asked is counted in their tallies; here it
 * is kept when a snapshot goes, so that counting costs an evaluation no look-up. Holds one entry for each flag and variant that
 * was ever answered, until it is taken.
 */
export class UsageCounter {
  readonly #kept = new Map<string, FlagUsage>();

  /** Keeps the counts of the flags that `after` does not share with `before`. */
  retire(before: Snapshot, after: Snapshot): void {
    for (const key of after.changedKeys) this.#collect(before, key);
  }

  /** The counts since the last time, the most recent snapshot's included; those beyond `maxCount` stay for the next. */
  take(current: Snapshot, maxCount: number = Number.POSITIVE_INFINITY): FlagUsage[] {
    for (const { key } of current.flags()) this.#collect(current, key);
    const taken: FlagUsage[] = [];
    for (const [id, usage] of this.#kept) {
      if (taken.length >= maxCount) break;
      this.#kept.delete(id);
      taken.push(usage);
    }
    return taken;
  }

  #collect(snapshot: Snapshot, flagKey: string): void {
    const revision = Number(snapshot.position.revision);
    for (const tally of snapshot.flag(flagKey)?.tallies ?? []) {
      if (tally.count === 0) continue;
      const { variant, count } = tally;
      tally.count = 0;
      const id = JSON.stringify([flagKey, variant]);
      const kept = this.#kept.get(id);
      if (kept === undefined && this.#kept.size >= MAX_KEPT) continue;
      this.#kept.set(id, { flagKey, variant, count: count + (kept?.count ?? 0), revision });
    }
  }
}
