/** OpenFeature's error codes: https://openfeature.dev/specification/types#error-code */
export type ResolutionErrorCode =
  | "PROVIDER_NOT_READY"
  | "FLAG_NOT_FOUND"
  | "PARSE_ERROR"
  | "TYPE_MISMATCH"
  | "TARGETING_KEY_MISSING"
  | "INVALID_CONTEXT"
  | "GENERAL";

const SAME: ReadonlySet<string> = new Set([
  "PROVIDER_NOT_READY",
  "FLAG_NOT_FOUND",
  "TYPE_MISMATCH",
  "TARGETING_KEY_MISSING",
]);

/** Our error code in OpenFeature's terms. One that a newer server sends is GENERAL. */
export function toResolutionErrorCode(code: string): ResolutionErrorCode {
  if (code === "MALFORMED_FLAG") return "PARSE_ERROR";
  return SAME.has(code) ? (code as ResolutionErrorCode) : "GENERAL";
}
