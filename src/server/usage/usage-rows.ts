import { createHash } from "node:crypto";
import type { SideChange } from "../../store/index.js";
import type { KeptHour } from "./hourly-counts.js";
import type { KeptReportId, KeptUsage } from "./usage-journal.js";
import type { Reporter } from "./usage-ledger.js";

/** A row of a side table, read. `foreign`: of something else, or damaged. */
export type UsageRow =
  | { readonly kind: "since"; readonly sinceMs: number }
  | { readonly kind: "complete"; readonly sinceMs: number }
  | { readonly kind: "usage"; readonly usage: KeptUsage }
  | { readonly kind: "hour"; readonly hour: KeptHour }
  | { readonly kind: "reporter"; readonly environment: string; readonly reporter: Reporter }
  | ({ readonly kind: "report" } & KeptReportId)
  | { readonly kind: "foreign" };

/** What all keys of usage begin with, so that others may keep something beside it. */
export const USAGE_PREFIX = "usage/";

const SINCE_KEY = `${USAGE_PREFIX}since`;
const COMPLETE_KEY = `${USAGE_PREFIX}hours-complete-since`;
const NUMBER_DIGITS = 16;

export function toSinceRow(sinceMs: number): SideChange {
  return [SINCE_KEY, JSON.stringify(["since", sinceMs])];
}

export function toUsageRow(id: string, usage: KeptUsage | undefined): SideChange {
  // Names are longer than a key may be.
  const key = `${USAGE_PREFIX}count/${digest(id)}`;
  if (usage === undefined) return [key, undefined];
  const { environment, flagKey, variant, count, revision, lastUsedMs } = usage;
  return [key, JSON.stringify(["usage", environment, flagKey, variant, count, String(revision), lastUsedMs])];
}

/** Since when hours are counted and kept whole. */
export function toCompleteRow(sinceMs: number): SideChange {
  return [COMPLETE_KEY, JSON.stringify(["complete", sinceMs])];
}

export function toHourRow(id: string, row: KeptHour | undefined): SideChange {
  const key = `${USAGE_PREFIX}hour/${digest(id)}`;
  if (row === undefined) return [key, undefined];
  const { environment, flagKey, hourMs, variant, revision, count } = row;
  return [key, JSON.stringify(["hour", environment, flagKey, hourMs, variant, String(revision), count])];
}

export function toReporterRow(environment: string, clientName: string, reporter: Reporter | undefined): SideChange {
  const key = `${USAGE_PREFIX}reporter/${digest(JSON.stringify([environment, clientName]))}`;
  if (reporter === undefined) return [key, undefined];
  return [key, JSON.stringify(["reporter", environment, clientName, reporter.lastReportMs, reporter.reportCount])];
}

/** Their keys sort by number, so that new ones are written beside each other. */
export function toReportRow(number: number, id: string | undefined): SideChange {
  const key = `${USAGE_PREFIX}report/${String(number).padStart(NUMBER_DIGITS, "0")}`;
  return [key, id === undefined ? undefined : JSON.stringify(["report", number, id])];
}

export function parseUsageRow(text: string): UsageRow {
  try {
    const row: unknown = JSON.parse(text);
    if (Array.isArray(row)) return readRow(row);
  } catch {}
  return { kind: "foreign" };
}

function readRow([kind, ...fields]: readonly unknown[]): UsageRow {
  if (kind === "since" && is(fields, "t")) return { kind, sinceMs: fields[0] };
  if (kind === "complete" && is(fields, "t")) return { kind, sinceMs: fields[0] };
  if (kind === "report" && is(fields, "ns")) return { kind, number: fields[0], id: fields[1] };
  if (kind === "reporter" && is(fields, "sstn")) {
    const [environment, clientName, lastReportMs, reportCount] = fields;
    return { kind, environment, reporter: { clientName, lastReportMs, reportCount } };
  }
  if (kind === "usage" && is(fields, "sssnst") && /^\d{1,20}$/.test(fields[4])) {
    const [environment, flagKey, variant, count, revision, lastUsedMs] = fields;
    return { kind, usage: { environment, flagKey, variant, count, revision: BigInt(revision), lastUsedMs } };
  }
  if (kind === "hour" && is(fields, "sstssn") && /^\d{1,20}$/.test(fields[4])) {
    const [environment, flagKey, hourMs, variant, revision, count] = fields;
    return { kind, hour: { environment, flagKey, hourMs, variant, revision: BigInt(revision), count } };
  }
  return { kind: "foreign" };
}

/** A tuple by its letters: `s` a string, `n` a whole number from 0, `t` a time in milliseconds. */
type Fields<Letters extends string> = Letters extends `${infer First}${infer Rest}`
  ? [First extends "s" ? string : number, ...Fields<Rest>]
  : [];

function is<Letters extends string>(fields: readonly unknown[], letters: Letters): fields is Fields<Letters> {
  if (fields.length !== letters.length) return false;
  return fields.every((field, index) => {
    const letter = letters[index];
    if (letter === "s") return typeof field === "string";
    return Number.isSafeInteger(field) && (letter === "t" || Number(field) >= 0);
  });
}

function digest(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}
