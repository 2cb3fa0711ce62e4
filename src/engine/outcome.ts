/** A JSON value, as variants hold it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Why an evaluation answered as it did. Documented at EvaluateResponse.reason. */
export type Reason =
  | "STATIC"
  | "DEFAULT"
  | "TARGETING_MATCH"
  | "SPLIT"
  | "DISABLED"
  | "KILLED"
  | "PREREQUISITE_FAILED"
  | "ERROR";

/** Why an evaluation has no answer. Documented at EvaluationError.code. */
export type ErrorCode =
  | "FLAG_NOT_FOUND"
  | "MALFORMED_FLAG"
  | "TARGETING_KEY_MISSING"
  | "TYPE_MISMATCH"
  | "PROVIDER_NOT_READY"
  | "GENERAL";

/**
 * One answer that a flag can give. All of a flag's outcomes are made when it is compiled, and frozen; evaluating selects
 * one. `variant` is undefined exactly when there is no value: the caller's own default applies.
 */
export interface Outcome {
  readonly flagKey: string;
  readonly value: JsonValue | undefined;
  readonly variant: string | undefined;
  readonly reason: Reason;
  /** The rule that decided. */
  readonly ruleId: string | undefined;
  /** The prerequisite that failed. */
  readonly prerequisiteKey: string | undefined;
  readonly errorCode: ErrorCode | undefined;
  readonly errorMessage: string | undefined;
  /** The flag's metadata. */
  readonly metadata: JsonValue | undefined;
}

/** How often a host has given out a variant of a flag. Hosts that count increase it; the engine never does. */
export interface Tally {
  /** Undefined: the caller's own default. */
  readonly variant: string | undefined;
  count: number;
}

/** An outcome of a compiled flag. */
export interface CountedOutcome extends Outcome {
  /** Shared by all outcomes of the variant. No own property, for it is no part of the answer. */
  readonly tally: Tally;
}
