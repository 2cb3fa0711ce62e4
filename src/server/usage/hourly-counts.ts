import { RecentMap } from "./recent-map.js";
import type { HourlyListing, HourlyQuery, HourPlace, HourUsage, ReportedCount } from "./usage-ledger.js";

/** What was answered of a variant in one hour, with the environment. */
export interface KeptHour extends HourUsage {
  readonly environment: string;
  readonly flagKey: string;
}

/** Is told what is kept now, or, by undefined, is no longer. */
export interface HourJournal {
  hour(id: string, row: KeptHour | undefined): void;
  hoursCompleteSince(sinceMs: number): void;
}

export const HOUR_MS = 3_600_000;
const KEPT_MS = 7 * 24 * HOUR_MS;

interface KnownFlag {
  readonly ids: Set<string>;
  /** The revisions that are known to have changed it, oldest first. */
  revisions: bigint[];
}

/** Older ones count as not known. */
const MAX_REVISIONS = 100;

/** Counts by hour: those of the last days, within a bound. */
export class HourlyCounts {
  readonly #rows: RecentMap<KeptHour>;
  readonly #journal: HourJournal;
  readonly #flags = new Map<string, KnownFlag>();
  #completeSinceMs: number;
  #sweptAtMs = 0;

  /** `completeSinceMs`: from when on everything that is counted has been put or will be added. */
  constructor(maxRows: number, completeSinceMs: number, journal: HourJournal) {
    this.#rows = new RecentMap(maxRows);
    this.#journal = journal;
    this.#completeSinceMs = hourOf(completeSinceMs);
  }

  add(environment: string, count: ReportedCount, endMs: number, nowMs: number): void {
    this.#sweep(nowMs);
    const hourMs = hourOf(endMs);
    if (hourMs < oldestOf(nowMs)) {
      this.#raise(hourMs + HOUR_MS, nowMs);
      return;
    }
    const { flagKey, variant } = count;
    const revision = this.#settingsRevision(environment, count);
    const id = idOf({ environment, flagKey, hourMs, variant, revision });
    const before = this.#rows.get(id)?.count ?? 0;
    const sum = Math.min(before + count.count, Number.MAX_SAFE_INTEGER);
    this.put({ environment, flagKey, hourMs, variant, revision, count: sum }, nowMs);
  }

  /** Sets a row, as it is; what is set later is dropped later. */
  put(row: KeptHour, nowMs: number): void {
    const id = idOf(row);
    const flag = this.#knownFlag(row);
    flag.ids.add(id);
    know(flag, row.revision);
    const dropped = this.#rows.set(id, row);
    this.#journal.hour(id, row);
    if (dropped === undefined) return;
    this.#forget(...dropped);
    this.#raise(dropped[1].hourMs + HOUR_MS, nowMs);
  }

  list({ environment, flagKey, after, limit }: HourlyQuery, nowMs: number): HourlyListing {
    const oldestMs = oldestOf(nowMs);
    const found: KeptHour[] = [];
    for (const id of this.#flags.get(flagOf({ environment, flagKey }))?.ids ?? []) {
      const row = this.#rows.get(id);
      if (row !== undefined && row.hourMs >= oldestMs && (after === undefined || compare(after, row) < 0))
        found.push(row);
    }
    const usages = found.sort(compare).slice(0, limit);
    return { usages, completeSinceMs: Math.max(this.#completeSinceMs, oldestMs) };
  }

  /**
   * The revision of the settings that answered. A report may come after the next change: then it is of the newest that is
   * known from before. Whoever reports names any revision, and so makes no rows of their own.
   */
  #settingsRevision(environment: string, { flagKey, revision, settingsRevision }: ReportedCount): bigint {
    if (revision >= settingsRevision) return settingsRevision;
    const known = this.#flags.get(flagOf({ environment, flagKey }))?.revisions ?? [];
    return known.findLast((one) => one <= revision) ?? 0n;
  }

  #knownFlag(row: FlagOfEnvironment): KnownFlag {
    const key = flagOf(row);
    const known = this.#flags.get(key) ?? { ids: new Set(), revisions: [] };
    this.#flags.set(key, known);
    return known;
  }

  #forget(id: string, row: KeptHour): void {
    this.#journal.hour(id, undefined);
    const key = flagOf(row);
    const flag = this.#flags.get(key);
    flag?.ids.delete(id);
    if (flag?.ids.size === 0) this.#flags.delete(key);
  }

  /**
   * Drops what is too old, once an hour, and says so: the clock may be ahead, and right again later. All rows are looked at: one
   * of an hour to come, from before a clock was set back, may stand before the rest.
   */
  #sweep(nowMs: number): void {
    if (hourOf(nowMs) === this.#sweptAtMs) return;
    this.#sweptAtMs = hourOf(nowMs);
    for (const [id, row] of this.#rows.entries()) {
      if (row.hourMs >= oldestOf(nowMs)) continue;
      this.#rows.delete(id);
      this.#forget(id, row);
      this.#raise(row.hourMs + HOUR_MS, nowMs);
    }
  }

  /** Something from before `sinceMs` is missing. What is of an hour to come was answered at an earlier one, nobody knows which. */
  #raise(sinceMs: number, nowMs: number): void {
    const raisedMs = Math.min(sinceMs, hourOf(nowMs) + HOUR_MS);
    if (raisedMs <= this.#completeSinceMs) return;
    this.#completeSinceMs = raisedMs;
    this.#journal.hoursCompleteSince(raisedMs);
  }
}

type FlagOfEnvironment = Pick<KeptHour, "environment" | "flagKey">;

function know(flag: KnownFlag, revision: bigint): void {
  const at = flag.revisions.findLastIndex((one) => one <= revision);
  if (flag.revisions[at] === revision) return;
  flag.revisions.splice(at + 1, 0, revision);
  if (flag.revisions.length > MAX_REVISIONS) flag.revisions.shift();
}

function oldestOf(nowMs: number): number {
  return hourOf(nowMs - KEPT_MS);
}

function hourOf(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS;
}

function flagOf({ environment, flagKey }: FlagOfEnvironment): string {
  return JSON.stringify([environment, flagKey]);
}

function idOf({ environment, flagKey, hourMs, variant, revision }: Omit<KeptHour, "count">): string {
  return JSON.stringify([environment, flagKey, hourMs, variant, String(revision)]);
}

/** The newest hour first, then by variant, then the newest revision first. */
function compare(one: HourPlace, other: HourPlace): number {
  if (one.hourMs !== other.hourMs) return other.hourMs - one.hourMs;
  if (one.variant !== other.variant) return one.variant < other.variant ? -1 : 1;
  return one.revision === other.revision ? 0 : one.revision > other.revision ? -1 : 1;
}
