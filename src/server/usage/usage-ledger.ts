/**
 * Where usage is added up: what clients report, and what servers answer themselves. Handlers wait for it, so that one ledger may serve several processes. What it is
 * given has been checked: flags and variants exist, and everything is within the contract's limits.
 */
export interface UsageLedger {
  /** Adds a report up, unless it came before. */
  record(report: UsageReport): Promise<UsageReceipt>;
  /** What is known of an environment, a page at a time; a flag may have been deleted since. */
  list(query: UsageQuery): Promise<UsageListing>;
  /** What is known of one flag by the hour, a page at a time. */
  listHours(query: HourlyQuery): Promise<HourlyListing>;
}

/** A report as the ledger takes it. Times are in milliseconds since 1970. */
export interface UsageReport {
  readonly environment: string;
  /** Undefined: a server tells what it answered itself, once. */
  readonly reporter: { readonly clientName: string; readonly reportId: string } | undefined;
  /** The last of the evaluations came at this time at the latest; never in the future. */
  readonly endMs: number;
  readonly counts: readonly ReportedCount[];
}

/** How often a variant was answered; the empty variant is the caller's own default. */
export interface VariantCount {
  readonly flagKey: string;
  readonly variant: string;
  readonly revision: bigint;
  readonly count: number;
}

export interface ReportedCount extends VariantCount {
  /** The one that had last changed the flag or its settings at `revision`; a later one where the server knows those of now only. */
  readonly settingsRevision: bigint;
}

export interface UsageReceipt {
  /** It had been counted before. */
  readonly alreadyCounted: boolean;
}

/** Which usages to list. */
export interface UsageQuery {
  readonly environment: string;
  /** Those of one flag; undefined: all. */
  readonly flagKey: string | undefined;
  /** Those after this place; undefined: from the first. */
  readonly after: UsagePlace | undefined;
  /** At most so many. */
  readonly limit: number;
}

/** Where a usage stands: they are in the order of their flags' keys, then of their variants. */
export type UsagePlace = Pick<RecordedUsage, "flagKey" | "variant">;

export interface UsageListing {
  /** Since when usage is counted. */
  readonly sinceMs: number;
  /** In order. */
  readonly usages: readonly RecordedUsage[];
  /** Those that reported last, the newest first. */
  readonly reporters: readonly Reporter[];
}

/** Which hours to list. */
export interface HourlyQuery {
  readonly environment: string;
  readonly flagKey: string;
  /** Those after this place; undefined: from the first. */
  readonly after: HourPlace | undefined;
  /** At most so many. */
  readonly limit: number;
}

/** Where it stands: the newest hour comes first, then by variant, then the newest revision. */
export type HourPlace = Omit<HourUsage, "count">;

/** What was answered of a variant in one hour. See HourlyUsage. */
export interface HourUsage {
  /** When the hour began, in milliseconds since 1970. */
  readonly hourMs: number;
  readonly variant: string;
  readonly revision: bigint;
  readonly count: number;
}

export interface HourlyListing {
  /** In order. */
  readonly usages: readonly HourUsage[];
  /** From when on nothing was dropped. */
  readonly completeSinceMs: number;
}

/** The sum of what was told of a variant. */
export interface RecordedUsage extends VariantCount {
  readonly lastUsedMs: number;
}

/** A client, by the name that it gives itself. */
export interface Reporter {
  readonly clientName: string;
  readonly lastReportMs: number;
  readonly reportCount: number;
}
