import { isRefusal, type RefusalCode } from "../refusal.js";
import { toStatusNumber } from "../status.js";

/** gRPC's status codes by number. */
const NAMES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

export const OK_CODE = 0;

export function codeName(code: number): string {
  return NAMES[code] ?? "UNKNOWN";
}

/** The number of what a call ended with: an answer, or why there is none. */
export function codeOf(outcome: unknown): number {
  return isRefusal(outcome) ? toStatusNumber(outcome.code) : OK_CODE;
}

const OF_HTTP: ReadonlyMap<number, RefusalCode> = new Map([
  [401, "UNAUTHENTICATED"],
  [403, "PERMISSION_DENIED"],
  [404, "NOT_FOUND"],
  [405, "UNIMPLEMENTED"],
  [413, "RESOURCE_EXHAUSTED"],
  [429, "RESOURCE_EXHAUSTED"],
  [503, "UNAVAILABLE"],
]);

/** The number that a status of HTTP comes to, for protocols that have no other. */
export function codeOfHttp(status: number): number {
  if (status < 400) return OK_CODE;
  return toStatusNumber(OF_HTTP.get(status) ?? (status < 500 ? "INVALID_ARGUMENT" : "INTERNAL"));
}
