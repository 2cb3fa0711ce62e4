import type { ErrorCode, JsonValue, ResolutionDetails } from "@openfeature/web-sdk";
import type { ResolutionErrorCode } from "../resolution/index.js";
import type { FlagValues } from "./flag-answers.js";

/** What a caller asks for. */
export interface FlagQuestion<T> {
  readonly flagKey: string;
  readonly type: "boolean" | "string" | "number" | "object";
  readonly defaultValue: T;
}

/** What is known when a caller asks. */
export interface KnownValues extends FlagValues {
  readonly environment: string;
  readonly doubt: Doubt;
}

/** Why an answer is not one that the server gave to this provider for this context: from storage, or for other attributes. */
export type Doubt = "CACHED" | "STALE" | undefined;

/** An answer in OpenFeature's terms. `doubt` stands in the place of its reason. */
export function resolveAnswer<T extends JsonValue>(
  { flagKey, type, defaultValue }: FlagQuestion<T>,
  { answers, environment, revision, doubt }: KnownValues,
): ResolutionDetails<T> {
  const answer = answers.get(flagKey);
  if (answer === undefined)
    return failed(defaultValue, "FLAG_NOT_FOUND", `there is no flag ${JSON.stringify(flagKey)}`);
  const { value, variant, reason, errorCode, errorMessage = "", metadata } = answer;
  // OpenFeature's telemetry reads the first two (https://openfeature.dev/specification/appendix-d#flag-metadata).
  const flagMetadata = { flagSetId: environment, version: revision, ...metadata };
  if (errorCode !== undefined) return { ...failed(defaultValue, errorCode, errorMessage), flagMetadata };
  const known = { reason: doubt ?? reason, flagMetadata };
  if (value === undefined) return { value: defaultValue, ...known };
  if (typeof value !== type || value === null) {
    const message = `flag ${JSON.stringify(flagKey)} is not of type ${type} but ${typeof value}`;
    return { ...failed(defaultValue, "TYPE_MISMATCH", message), flagMetadata };
  }
  return { value: frozen(value as T), ...known, ...(variant !== undefined && { variant }) };
}

/** What a page changed in a value would be the answer from then on. */
function frozen<T>(json: T): T {
  if (typeof json !== "object" || json === null || Object.isFrozen(json)) return json;
  for (const member of Object.values(json)) frozen(member);
  return Object.freeze(json);
}

export function failed<T>(value: T, code: ResolutionErrorCode, errorMessage: string): ResolutionDetails<T> {
  return { value, reason: "ERROR", errorCode: code as ErrorCode, errorMessage };
}
