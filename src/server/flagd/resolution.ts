import type { ErrorCode, JsonValue, Outcome } from "../../engine/index.js";
import { type FlatMetadata, toFlatMetadata } from "../../resolution/index.js";
import { type OrRefusal, Refusal, type RefusalCode } from "../refusal.js";

/** An outcome in flagd's terms. */
export interface Resolution {
  readonly flagKey: string;
  /** A value with its variant; undefined where the caller's own default applies. */
  readonly served: { readonly value: JsonValue; readonly variant: string } | undefined;
  readonly reason: string;
  readonly metadata: FlatMetadata;
}

export function toResolution(outcome: Outcome): OrRefusal<Resolution> {
  const { flagKey, value, variant, reason, errorCode, errorMessage } = outcome;
  if (errorCode !== undefined) return refuseFlag(flagKey, errorCode, errorMessage ?? "cannot be evaluated");
  const metadata = toFlatMetadata(outcome.metadata);
  if (value !== undefined && variant !== undefined) return { flagKey, served: { value, variant }, reason, metadata };
  // Providers take the caller's default only where the reason is one of these two.
  const isOff = reason === "DISABLED" || reason === "KILLED";
  return { flagKey, served: undefined, reason: isOff ? "DISABLED" : "DEFAULT", metadata };
}

/** Those that flagd's providers have an error code for, and FAILED_PRECONDITION, which is GENERAL there and is not tried again. */
const STATUSES: Partial<Record<ErrorCode, RefusalCode>> = {
  FLAG_NOT_FOUND: "NOT_FOUND",
  TYPE_MISMATCH: "INVALID_ARGUMENT",
  MALFORMED_FLAG: "DATA_LOSS",
  TARGETING_KEY_MISSING: "FAILED_PRECONDITION",
};

export function refuseFlag(flagKey: string, code: ErrorCode, message: string): Refusal {
  const text = `flag ${JSON.stringify(flagKey)}: ${message}`;
  return new Refusal(STATUSES[code] ?? "INTERNAL", code, text, { metadata: { flag_key: flagKey } });
}

/** Where an answer cannot be without a value. */
export function refuseNoValue({ flagKey, reason }: Resolution): Refusal {
  const text = `flag ${JSON.stringify(flagKey)} has no value here (${reason}); use your own default`;
  return new Refusal("NOT_FOUND", "NO_VALUE", text, { metadata: { flag_key: flagKey } });
}
