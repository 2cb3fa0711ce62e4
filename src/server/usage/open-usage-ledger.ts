import { type Clock, type StopTimer, settlesInTime } from "../../base/index.js";
import type { SideTable } from "../../store/index.js";
import { MemoryUsageLedger, type UsageLedgerLimits } from "./memory-usage-ledger.js";
import type {
  HourlyListing,
  HourlyQuery,
  UsageLedger,
  UsageListing,
  UsageQuery,
  UsageReceipt,
  UsageReport,
} from "./usage-ledger.js";
import { UsageNotes } from "./usage-notes.js";
import { parseUsageRow, toCompleteRow, toSinceRow, USAGE_PREFIX } from "./usage-rows.js";

/** How long what was counted is in memory alone, about. */
const WRITE_INTERVAL_MS = 4_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** In one transaction: what costs the event loop some milliseconds. */
const MAX_ROWS = 500;

export interface UsageLedgerOptions {
  readonly side: SideTable;
  readonly clock: Clock;
  /** Default: see UsageLedgerLimits. */
  readonly limits?: Partial<UsageLedgerLimits>;
}

/** A ledger that lasts. Close it before the store. */
export interface KeptUsageLedger extends UsageLedger, AsyncDisposable {
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

/**
 * A ledger that is kept beside the log of a store: answered from memory, and written in the background. What was counted in the
 * last seconds is lost if the process is killed; nothing is counted twice for that, for a report's id is written before its counts.
 */
export function openUsageLedger(options: UsageLedgerOptions): KeptUsageLedger {
  return new SideUsageLedger(options);
}

class SideUsageLedger implements KeptUsageLedger {
  readonly #side: SideTable;
  readonly #clock: Clock;
  readonly #notes: UsageNotes;
  readonly #memory: MemoryUsageLedger;
  #stopTimer: StopTimer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor({ side, clock, limits = {} }: UsageLedgerOptions) {
    this.#side = side;
    this.#clock = clock;
    this.#notes = new UsageNotes();
    const rows = readRows(side);
    const sinceMs = rows.sinceMs ?? clock.now();
    const hoursSinceMs = rows.hoursSinceMs ?? clock.now();
    this.#memory = new MemoryUsageLedger(clock, limits, { sinceMs, hoursSinceMs }, this.#notes);
    for (const usage of rows.usages) this.#memory.put(usage);
    for (const hour of rows.hours) this.#memory.hours.put(hour, clock.now());
    for (const [environment, reporter] of rows.reporters) this.#memory.putReporter(environment, reporter);
    for (const report of rows.reports) this.#memory.putReportId(report);
    // They stand there already, but for what is beyond the limits.
    this.#notes.keepRemovals();
    for (const key of rows.damaged) this.#notes.add([key, undefined]);
    if (rows.sinceMs === undefined) this.#notes.add(toSinceRow(sinceMs));
    if (rows.hoursSinceMs === undefined) this.#notes.add(toCompleteRow(hoursSinceMs));
    this.#schedule();
  }

  async record(report: UsageReport): Promise<UsageReceipt> {
    const receipt = await this.#memory.record(report);
    this.#schedule();
    return receipt;
  }

  list(query: UsageQuery): Promise<UsageListing> {
    return this.#memory.list(query);
  }

  listHours(query: HourlyQuery): Promise<HourlyListing> {
    return this.#memory.listHours(query);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    // A disk that hangs must not keep a server from ending.
    const written = this.#writing.then(() => this.#write());
    await settlesInTime(written, CLOSE_TIMEOUT_MS, this.#clock);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Writes what there is, soon. */
  #schedule(): void {
    if (this.#stopTimer !== undefined || this.#isClosed || this.#notes.isEmpty) return;
    this.#stopTimer = this.#clock.after(WRITE_INTERVAL_MS, () => {
      this.#writing = this.#write().then(() => {
        this.#stopTimer = undefined;
        this.#schedule();
      });
    });
  }

  /** What a full disk refuses stays for the next time. */
  async #write(): Promise<void> {
    while (!this.#notes.isEmpty) {
      const batch = this.#notes.take(MAX_ROWS);
      if (await this.#side.write(batch.changes)) continue;
      batch.putBack();
      return;
    }
  }
}

/** What was kept, each kind with the oldest first. */
function readRows(side: SideTable) {
  const found = side.entries(USAGE_PREFIX).map(([key, text]) => ({ key, row: parseUsageRow(text) }));
  const parsed = found.map(({ row }) => row);
  return {
    sinceMs: parsed.find((row) => row.kind === "since")?.sinceMs,
    hoursSinceMs: parsed.find((row) => row.kind === "complete")?.sinceMs,
    hours: parsed.flatMap((row) => (row.kind === "hour" ? row.hour : [])).sort((a, b) => a.hourMs - b.hourMs),
    usages: parsed
      .flatMap((row) => (row.kind === "usage" ? row.usage : []))
      .sort((a, b) => a.lastUsedMs - b.lastUsedMs),
    reporters: parsed
      .flatMap((row) => (row.kind === "reporter" ? [[row.environment, row.reporter] as const] : []))
      .sort(([, a], [, b]) => a.lastReportMs - b.lastReportMs),
    reports: parsed.flatMap((row) => (row.kind === "report" ? row : [])),
    damaged: found.flatMap(({ key, row }) => (row.kind === "foreign" ? key : [])),
  };
}
