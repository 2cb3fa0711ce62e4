import type { Clock } from "../../base/index.js";
import { RecentMap } from "./recent-map.js";
import type { RecordedUsage, Reporter, UsageLedger, UsageReport, VariantCount } from "./usage-ledger.js";

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

  async list(environment: string, flagKey: string | undefined) {
    const usages: RecordedUsage[] = [];
    for (const usage of this.#usages.newestFirst()) {
      if (usage.environment === environment && (flagKey ?? usage.flagKey) === usage.flagKey) usages.push(usage);
    }
    const reporters = this.#reporters.get(environment)?.newestFirst() ?? [];
    return { sinceMs: this.#sinceMs, usages, reporters };
  }

  #add(environment: string, { flagKey, variant, revision, count }: VariantCount, endMs: number): void {
    const id = JSON.stringify([environment, flagKey, variant]);
    const before = this.#usages.get(id);
    this.#usages.set(id, {
      environment,
      flagKey,
      variant,
      // What a double cannot tell apart any more is enough.
      count: Math.min((before?.count ?? 0) + count, Number.MAX_SAFE_INTEGER),
      revision: before === undefined || revision > before.revision ? revision : before.revision,
      lastUsedMs: Math.max(before?.lastUsedMs ?? endMs, endMs),
    });
  }

  #meet({ environment, clientName }: UsageReport, alreadyCounted: boolean): void {
    const known = this.#reporters.get(environment) ?? new RecentMap<Reporter>(this.#limits.reporters);
    const reportCount = (known.get(clientName)?.reportCount ?? 0) + (alreadyCounted ? 0 : 1);
    known.set(clientName, { clientName, lastReportMs: this.#clock.now(), reportCount });
    this.#reporters.set(environment, known);
  }
}
