import type { HourJournal } from "./hourly-counts.js";
import type { RecordedUsage, Reporter } from "./usage-ledger.js";

/** A usage with the environment that it is of. */
export interface KeptUsage extends RecordedUsage {
  readonly environment: string;
}

/** A report that was counted. Its number is higher than those of all reports before. */
export interface KeptReportId {
  readonly id: string;
  readonly number: number;
}

/** Is told what a ledger now holds, or, by undefined, no longer holds. */
export interface UsageJournal extends HourJournal {
  usage(id: string, usage: KeptUsage | undefined): void;
  reporter(environment: string, clientName: string, reporter: Reporter | undefined): void;
  reportId(number: number, id: string | undefined): void;
}

/** For a ledger that is not kept. */
export const noJournal: UsageJournal = { usage() {}, reporter() {}, reportId() {}, hour() {}, hoursCompleteSince() {} };
