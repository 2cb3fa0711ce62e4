import type { Clock } from "../../base/index.js";
import { HourlyCounts } from "./hourly-counts.js";
import { RecentMap } from "./recent-map.js";
import { type KeptReportId, type KeptUsage, noJournal, type UsageJournal } from "./usage-journal.js";
import type {
  HourlyListing,
  HourlyQuery,
  RecordedUsage,
  Reporter,
  UsageLedger,
  UsagePlace,
  UsageQuery,
  UsageReport,
  VariantCount,
} from "./usage-ledger.js";

/** Bounds of a ledger. */
export interface UsageLedgerLimits {
  /** Variants of flags with a count, in all environments. Default 200,000. Beyond it the longest unused are dropped. */
  readonly usages: number;
  /** Ids of reports that are remembered. Default 100,000, which is some minutes of ten thousand mirrors. */
  readonly reportIds: number;
  /** Hours of variants of flags, each with the revision that it was answered by, in all environments. Default 200,000. */
  readonly hours: number;
  /** Clients that are remembered in each environment. Default 20. */
  readonly reporters: number;
  /** Environments whose clients are remembered. Default 1,000. */
  readonly environments: number;
}

const DEFAULT_LIMITS: UsageLedgerLimits = {
  usages: 200_000,
  reportIds: 100_000,
  hours: 200_000,
  reporters: 20,
  environments: 1_000,
};

/** A ledger of this process, from now on and until it ends. */
export function createMemoryUsageLedger(clock: Clock, limits: Partial<UsageLedgerLimits> = {}): UsageLedger {
  const nowMs = clock.now();
  return new MemoryUsageLedger(clock, limits, { sinceMs: nowMs, hoursSinceMs: nowMs });
}

/** Since when usage is counted, and since when by the hour: older versions did not. */
export interface CountingSince {
  readonly sinceMs: number;
  readonly hoursSinceMs: number;
}

/** A ledger in memory, which tells a journal what has changed. */
export class MemoryUsageLedger implements UsageLedger {
  readonly #clock: Clock;
  readonly #limits: UsageLedgerLimits;
  readonly #sinceMs: number;
  readonly hours: HourlyCounts;
  readonly #journal: UsageJournal;
  readonly #usages: RecentMap<KeptUsage>;
  /** With the number of each. */
  readonly #reportIds: RecentMap<number>;
  #lastReport = 0;
  readonly #reporters: RecentMap<RecentMap<Reporter>>;
  /**
   * Where the usages of an environment stand, in order; made when listed, and dropped when one comes or goes, so that nothing is
   * kept of what is gone. Between two such changes a page costs no more than its own length.
   */
  readonly #orders = new Map<string, readonly UsagePlace[]>();

  constructor(
    clock: Clock,
    limits: Partial<UsageLedgerLimits>,
    { sinceMs, hoursSinceMs }: CountingSince,
    journal: UsageJournal = noJournal,
  ) {
    this.#clock = clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#sinceMs = sinceMs;
    this.hours = new HourlyCounts(this.#limits.hours, hoursSinceMs, journal);
    this.#journal = journal;
    this.#usages = new RecentMap(this.#limits.usages);
    this.#reportIds = new RecentMap(this.#limits.reportIds);
    this.#reporters = new RecentMap(this.#limits.environments);
  }

  async record({ environment, reporter, endMs, counts }: UsageReport) {
    const alreadyCounted = reporter !== undefined && this.#meet(environment, reporter);
    if (alreadyCounted) return { alreadyCounted };
    const nowMs = this.#clock.now();
    for (const count of counts) {
      this.#add(environment, count, endMs);
      this.hours.add(environment, count, endMs, nowMs);
    }
    return { alreadyCounted };
  }

  async listHours(query: HourlyQuery): Promise<HourlyListing> {
    return this.hours.list(query, this.#clock.now());
  }

  async list(query: UsageQuery) {
    const { environment, flagKey, limit } = query;
    const order = this.#order(environment);
    const usages: RecordedUsage[] = [];
    for (let at = firstOf(order, query); usages.length < limit; at++) {
      const place = order[at];
      if (place === undefined || (flagKey ?? place.flagKey) !== place.flagKey) break;
      const usage = this.#usages.get(idOf(environment, place));
      if (usage !== undefined) usages.push(usage);
    }
    const reporters = this.#reporters.get(environment)?.newestFirst() ?? [];
    return { sinceMs: this.#sinceMs, usages, reporters };
  }

  /** Sets a usage, as it is; what is set later is taken for used later. */
  put(usage: KeptUsage): void {
    const id = idOf(usage.environment, usage);
    const isNew = this.#usages.get(id) === undefined;
    const dropped = this.#usages.set(id, usage);
    this.#journal.usage(id, usage);
    if (isNew) this.#orders.delete(usage.environment);
    if (dropped === undefined) return;
    this.#journal.usage(dropped[0], undefined);
    this.#orders.delete(dropped[1].environment);
  }

  /** Sets when a client was heard of last; what is set later is taken for later. */
  putReporter(environment: string, reporter: Reporter): void {
    const known = this.#reporters.get(environment) ?? new RecentMap<Reporter>(this.#limits.reporters);
    const dropped = known.set(reporter.clientName, reporter);
    const droppedEnvironment = this.#reporters.set(environment, known);
    this.#journal.reporter(environment, reporter.clientName, reporter);
    if (dropped !== undefined) this.#journal.reporter(environment, dropped[0], undefined);
    if (droppedEnvironment === undefined) return;
    const [gone, reporters] = droppedEnvironment;
    for (const { clientName } of reporters.newestFirst()) this.#journal.reporter(gone, clientName, undefined);
  }

  /** Remembers a report, after those with lower numbers. */
  putReportId({ id, number }: KeptReportId): void {
    this.#lastReport = number;
    const dropped = this.#reportIds.set(id, number);
    this.#journal.reportId(number, id);
    if (dropped !== undefined) this.#journal.reportId(dropped[1], undefined);
  }

  #add(environment: string, { flagKey, variant, revision, count }: VariantCount, endMs: number): void {
    const before = this.#usages.get(idOf(environment, { flagKey, variant }));
    this.put({
      environment,
      flagKey,
      variant,
      // What a double cannot tell apart any more is enough.
      count: Math.min((before?.count ?? 0) + count, Number.MAX_SAFE_INTEGER),
      revision: before === undefined || revision > before.revision ? revision : before.revision,
      lastUsedMs: Math.max(before?.lastUsedMs ?? endMs, endMs),
    });
  }

  #order(environment: string): readonly UsagePlace[] {
    const known = this.#orders.get(environment);
    if (known !== undefined) return known;
    const places: UsagePlace[] = [];
    for (const usage of this.#usages.newestFirst()) {
      if (usage.environment === environment) places.push({ flagKey: usage.flagKey, variant: usage.variant });
    }
    places.sort(compare);
    if (places.length > 0) this.#orders.set(environment, places);
    return places;
  }

  /** Whether the report came before. */
  #meet(environment: string, { clientName, reportId }: NonNullable<UsageReport["reporter"]>): boolean {
    const id = JSON.stringify([environment, reportId]);
    const alreadyCounted = this.#reportIds.get(id) !== undefined;
    if (!alreadyCounted) this.putReportId({ id, number: this.#lastReport + 1 });
    const before = this.#reporters.get(environment)?.get(clientName)?.reportCount ?? 0;
    const reportCount = before + (alreadyCounted ? 0 : 1);
    this.putReporter(environment, { clientName, lastReportMs: this.#clock.now(), reportCount });
    return alreadyCounted;
  }
}

/** Of a usage. */
function idOf(environment: string, { flagKey, variant }: UsagePlace): string {
  return JSON.stringify([environment, flagKey, variant]);
}

/** The index of the first place that a query asks for. */
function firstOf(order: readonly UsagePlace[], { flagKey = "", after }: UsageQuery): number {
  let from = 0;
  let to = order.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const place = order[middle];
    const isBefore =
      place !== undefined && (place.flagKey < flagKey || (after !== undefined && compare(place, after) <= 0));
    if (isBefore) from = middle + 1;
    else to = middle;
  }
  return from;
}

function compare(a: UsagePlace, b: UsagePlace): number {
  return compareText(a.flagKey, b.flagKey) || compareText(a.variant, b.variant);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
