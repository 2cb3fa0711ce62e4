import type { Clock } from "../../base/index.js";
import { RecentMap } from "./recent-map.js";
import type {
  RecordedUsage,
  Reporter,
  UsageLedger,
  UsagePlace,
  UsageQuery,
  UsageReport,
  VariantCount,
} from "./usage-ledger.js";

/** Bounds of a ledger in memory. */
export interface UsageLedgerLimits {
  /** Variants of flags with a count, in all environments. Default 200,000. Beyond it the longest unused are dropped. */
  readonly usages: number;
  /** Ids of reports that are remembered. Default 100,000, which is some minutes of ten thousand mirrors. */
  readonly reportIds: number;
  /** Clients that are remembered in each environment. Default 20. */
  readonly reporters: number;
  /** Environments whose clients are remembered. Default 1,000. */
  readonly environments: number;
}

const DEFAULT_LIMITS: UsageLedgerLimits = {
  usages: 200_000,
  reportIds: 100_000,
  reporters: 20,
  environments: 1_000,
};

/** A ledger of this process, from now on and until it ends. */
export function createMemoryUsageLedger(clock: Clock, limits: Partial<UsageLedgerLimits> = {}): UsageLedger {
  return new MemoryUsageLedger(clock, { ...DEFAULT_LIMITS, ...limits });
}

interface Usage extends RecordedUsage {
  readonly environment: string;
}

class MemoryUsageLedger implements UsageLedger {
  readonly #clock: Clock;
  readonly #limits: UsageLedgerLimits;
  readonly #sinceMs: number;
  readonly #usages: RecentMap<Usage>;
  readonly #reportIds: RecentMap<true>;
  readonly #reporters: RecentMap<RecentMap<Reporter>>;
  /**
   * Where the usages of an environment stand, in order; made when listed, and dropped when one comes or goes, so that nothing is
   * kept of what is gone. Between two such changes a page costs no more than its own length.
   */
  readonly #orders = new Map<string, readonly UsagePlace[]>();

  constructor(clock: Clock, limits: UsageLedgerLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#sinceMs = clock.now();
    this.#usages = new RecentMap(limits.usages);
    this.#reportIds = new RecentMap(limits.reportIds);
    this.#reporters = new RecentMap(limits.environments);
  }

  async record(report: UsageReport) {
    const { environment, reportId } = report;
    const id = JSON.stringify([environment, reportId]);
    const alreadyCounted = this.#reportIds.get(id) !== undefined;
    this.#reportIds.set(id, true);
    this.#meet(report, alreadyCounted);
    if (!alreadyCounted) for (const count of report.counts) this.#add(environment, count, report.endMs);
    return { alreadyCounted };
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

  #add(environment: string, { flagKey, variant, revision, count }: VariantCount, endMs: number): void {
    const id = idOf(environment, { flagKey, variant });
    const before = this.#usages.get(id);
    const dropped = this.#usages.set(id, {
      environment,
      flagKey,
      variant,
      // What a double cannot tell apart any more is enough.
      count: Math.min((before?.count ?? 0) + count, Number.MAX_SAFE_INTEGER),
      revision: before === undefined || revision > before.revision ? revision : before.revision,
      lastUsedMs: Math.max(before?.lastUsedMs ?? endMs, endMs),
    });
    if (before === undefined) this.#orders.delete(environment);
    if (dropped !== undefined) this.#orders.delete(environmentOf(dropped));
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

  #meet({ environment, clientName }: UsageReport, alreadyCounted: boolean): void {
    const known = this.#reporters.get(environment) ?? new RecentMap<Reporter>(this.#limits.reporters);
    const reportCount = (known.get(clientName)?.reportCount ?? 0) + (alreadyCounted ? 0 : 1);
    known.set(clientName, { clientName, lastReportMs: this.#clock.now(), reportCount });
    this.#reporters.set(environment, known);
  }
}

/** Of a usage. */
function idOf(environment: string, { flagKey, variant }: UsagePlace): string {
  return JSON.stringify([environment, flagKey, variant]);
}

function environmentOf(id: string): string {
  const [environment = ""]: string[] = JSON.parse(id);
  return environment;
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
