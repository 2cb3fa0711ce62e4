import type { CompiledFlag, Context, Outcome, Snapshot } from "../../src/engine/index.js";

// Plain checks, not expectations: they are made millions of times.

const REASONS: ReadonlySet<unknown> = new Set([
  "STATIC",
  "DEFAULT",
  "TARGETING_MATCH",
  "SPLIT",
  "DISABLED",
  "KILLED",
  "PREREQUISITE_FAILED",
  "ERROR",
]);
const ERROR_CODES: ReadonlySet<unknown> = new Set(["MALFORMED_FLAG", "TARGETING_KEY_MISSING"]);

/** What of an outcome the contract does not know, or no message could hold; undefined for nothing. */
export function faultOf(outcome: Outcome, key: string): string | undefined {
  const { flagKey, reason, value, variant, ruleId, prerequisiteKey, errorCode, errorMessage, metadata } = outcome;
  const isError = reason === "ERROR";
  if (!Object.isFrozen(outcome)) return "it is not frozen";
  if (flagKey !== key) return "it is another flag's";
  if (!REASONS.has(reason)) return `its reason is ${String(reason)}`;
  if ((variant === undefined) !== (value === undefined)) return "variant and value do not come together";
  if (isError !== ERROR_CODES.has(errorCode)) return `its error is ${errorCode}`;
  if (isError !== (errorMessage !== undefined)) return `its error message is ${errorMessage}`;
  if (isError && variant !== undefined) return "it is an error with a value";
  if ((prerequisiteKey !== undefined) !== (reason === "PREREQUISITE_FAILED")) return `${reason} with a prerequisite`;
  for (const text of [variant, ruleId, prerequisiteKey, errorMessage]) {
    if (text !== undefined && typeof text !== "string") return "what should be text is none";
  }
  return isFrozenJson(value) && isFrozenJson(metadata) ? undefined : "its value or metadata is no frozen JSON";
}

function isFrozenJson(part: unknown): boolean {
  switch (typeof part) {
    case "undefined":
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(part);
    case "object":
      break;
    default:
      return false;
  }
  if (part === null) return true;
  if (!Object.isFrozen(part)) return false;
  if (!Array.isArray(part) && Object.getPrototypeOf(part) !== Object.prototype) return false;
  return Object.values(part as object).every((member) => member !== undefined && isFrozenJson(member));
}

/** The first fault of a flag's answers; undefined for none. */
export function faultOfFlag(flag: CompiledFlag, contexts: readonly Context[], now: number): string | undefined {
  const { key, type, select, problems, usesNow } = flag;
  if (typeof key !== "string" || typeof type !== "number" || typeof usesNow !== "boolean") {
    return "its key, type or use of the time is of a wrong type";
  }
  for (const { field, description } of problems) {
    if (typeof field !== "string" || typeof description !== "string") return "a problem is not told in words";
  }
  for (const context of contexts) {
    const fault = faultOf(select(context, now), key);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The first fault of anything that can be asked of a snapshot; undefined for none. */
export function faultOfSnapshot(snapshot: Snapshot, contexts: readonly Context[], now: number): string | undefined {
  if (!/^[0-9a-f]{16}$/.test(snapshot.digest)) return `its digest is ${snapshot.digest}`;
  const flags = snapshot.flags();
  if (flags.length !== snapshot.size) return `it has ${flags.length} of ${snapshot.size} flags`;
  for (const flag of flags) {
    const fault = snapshot.flag(flag.key) === flag ? faultOfFlag(flag, contexts, now) : "it is not found by its key";
    if (fault !== undefined) return `${flag.key}: ${fault}`;
  }
  for (const { kind } of snapshot.items()) {
    if (kind.case !== "segment") continue;
    if (!Array.isArray(snapshot.segmentProblems(kind.value.key))) return "a segment has no list of problems";
  }
  return undefined;
}
