import type { CompiledFlag, Snapshot, Tally } from "../engine/index.js";

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

/** The tallies of a flag that was replaced, which pinned flags may still increase. */
interface RetiredTallies {
  readonly flagKey: string;
  readonly tallies: readonly Tally[];
  /** Of the last snapshot that had the flag. */
  readonly revision: number;
}

/**
 * The evaluations of a mirror, by flag and variant. What a snapshot's flags were asked is counted in their tallies; here it
 * is kept when a snapshot goes, so that counting costs an evaluation no look-up. Holds one entry for each flag and variant that
 * was ever answered, until it is taken.
 *
 * Pinned flags go on asking flags that were replaced. Of these the tallies alone are held, and looked at again, until
 * nobody can ask the flag any more, which the garbage collector tells. So nothing is lost, and no snapshot is kept for it.
 */
export class UsageCounter {
  readonly #kept = new Map<string, FlagUsage>();
  readonly #retired = new Set<RetiredTallies>();
  /** Made by the first pin: where nobody pins, nothing of what was replaced can be asked. */
  #ends: FinalizationRegistry<RetiredTallies> | undefined;

  /** From now on, flags may be asked after they were replaced. */
  expectPins(): void {
    this.#ends ??= new FinalizationRegistry((retired) => {
      this.#collectRetired(retired);
      this.#retired.delete(retired);
    });
  }

  /** Keeps the counts of the flags that `after` does not share with `before`. */
  retire(before: Snapshot, after: Snapshot): void {
    const revision = Number(before.position.revision);
    for (const flagKey of after.changedKeys) {
      const flag = before.flag(flagKey);
      if (flag === undefined) continue;
      this.#collect(flag, revision);
      if (this.#ends === undefined) continue;
      const retired = { flagKey, tallies: flag.tallies, revision };
      this.#retired.add(retired);
      this.#ends.register(flag, retired);
    }
  }

  /** The counts since the last time, the most recent snapshot's included; those beyond `maxCount` stay for the next. */
  take(current: Snapshot, maxCount: number = Number.POSITIVE_INFINITY): FlagUsage[] {
    for (const retired of this.#retired) this.#collectRetired(retired);
    const revision = Number(current.position.revision);
    for (const flag of current.flags()) this.#collect(flag, revision);
    const taken: FlagUsage[] = [];
    for (const [id, usage] of this.#kept) {
      if (taken.length >= maxCount) break;
      this.#kept.delete(id);
      taken.push(usage);
    }
    return taken;
  }

  #collect({ key, tallies }: CompiledFlag, revision: number): void {
    for (const tally of tallies) {
      if (tally.count > 0) this.#keep(key, tally, () => revision);
    }
  }

  /** What is kept may be of a newer revision, or of an older one. */
  #collectRetired({ flagKey, tallies, revision }: RetiredTallies): void {
    for (const tally of tallies) {
      if (tally.count > 0) this.#keep(flagKey, tally, (kept) => Math.max(kept?.revision ?? 0, revision));
    }
  }

  #keep(flagKey: string, tally: Tally, revisionOf: (kept: FlagUsage | undefined) => number): void {
    const { variant, count } = tally;
    tally.count = 0;
    const id = JSON.stringify([flagKey, variant]);
    const kept = this.#kept.get(id);
    if (kept === undefined && this.#kept.size >= MAX_KEPT) return;
    this.#kept.set(id, { flagKey, variant, count: count + (kept?.count ?? 0), revision: revisionOf(kept) });
  }
}
