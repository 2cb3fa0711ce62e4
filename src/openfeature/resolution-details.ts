import { ErrorCode, type FlagMetadata, type ResolutionDetails } from "@openfeature/server-sdk";
import type { EvaluationDetails } from "../client/index.js";
import { toFlatMetadata, toResolutionErrorCode } from "../resolution/index.js";

/** An answer of a mirror in OpenFeature's terms, with the caller's default where it has no value. */
export function toResolutionDetails<T>(
  details: EvaluationDetails<unknown>,
  defaultValue: T,
  environment: string,
): ResolutionDetails<T> {
  const { variant, reason, errorCode, errorMessage } = details;
  return {
    // The mirror has made sure that it has the type that was asked for.
    value: variant === undefined ? defaultValue : (details.value as T),
    reason,
    flagMetadata: toFlagMetadata(details, environment),
    ...(variant !== undefined && { variant }),
    ...(errorCode !== undefined && { errorCode: ErrorCode[toResolutionErrorCode(errorCode)] }),
    ...(errorMessage !== undefined && { errorMessage }),
  };
}

/**
 * The flag's own metadata; where the answer comes from, under the names that OpenFeature's telemetry reads
 * (https://openfeature.dev/specification/appendix-d#flag-metadata), unless the flag has taken them; and what decided.
 */
function toFlagMetadata(details: EvaluationDetails<unknown>, environment: string): FlagMetadata {
  const { metadata, revision, ruleId, prerequisiteKey } = details;
  return {
    flagSetId: environment,
    version: String(revision),
    ...toFlatMetadata(metadata),
    ...(ruleId !== undefined && { "flagwire.ruleId": ruleId }),
    ...(prerequisiteKey !== undefined && { "flagwire.prerequisiteKey": prerequisiteKey }),
  };
}
