import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Trace } from "../../gen/flagwire/v1/trace_pb.js";
import { type ErrorCode, flagTypeName, type Outcome } from "../engine/index.js";

/** An answer with its reasons, in OpenFeature's terms where it has them. */
export interface EvaluationDetails<T> extends Omit<Outcome, "value"> {
  /** The variant's value, or the caller's default where there is none (`variant` is then undefined). */
  readonly value: T;
  /** The revision that the answer was given at; 0 where no server had a say. */
  readonly revision: number;
}

/** An answer with its reasons, and how it came about. */
export interface Explanation<T> extends EvaluationDetails<T> {
  /** Undefined where no flag was evaluated: it does not exist, or there is no snapshot yet. */
  readonly trace: Trace | undefined;
}

/** The details of an outcome, with the caller's default where the outcome has no value. */
export function toDetails<T>(outcome: Outcome, defaultValue: T, revision: number): EvaluationDetails<T> {
  return {
    flagKey: outcome.flagKey,
    // The caller has made sure that the flag's type is that of the default.
    value: outcome.value === undefined ? defaultValue : (outcome.value as T),
    variant: outcome.variant,
    reason: outcome.reason,
    ruleId: outcome.ruleId,
    prerequisiteKey: outcome.prerequisiteKey,
    errorCode: outcome.errorCode,
    errorMessage: outcome.errorMessage,
    revision,
    metadata: outcome.metadata,
  };
}

/** The details of an answer that there is none. */
export function errorDetails<T>(
  flagKey: string,
  defaultValue: T,
  errorCode: ErrorCode,
  errorMessage: string,
  revision: number,
): EvaluationDetails<T> {
  return {
    flagKey,
    value: defaultValue,
    variant: undefined,
    reason: "ERROR",
    ruleId: undefined,
    prerequisiteKey: undefined,
    errorCode,
    errorMessage,
    revision,
    metadata: undefined,
  };
}

/** The flag type of a value; undefined for one that no flag can have, such as `undefined`. */
export function flagTypeOf(value: unknown): FlagType | undefined {
  switch (typeof value) {
    case "boolean":
      return FlagType.BOOLEAN;
    case "string":
      return FlagType.STRING;
    case "number":
      return FlagType.NUMBER;
    case "object":
      return FlagType.OBJECT;
    default:
      return undefined;
  }
}

/**
 * Why a flag cannot answer a caller with this default; undefined if it can. A default of no flag type takes all. It is a
 * sample of what is asked for, and may be the host's rather than the caller's.
 */
export function typeMismatch(flagKey: string, type: FlagType, defaultValue: unknown): string | undefined {
  const wanted = flagTypeOf(defaultValue);
  if (wanted === undefined || wanted === type) return undefined;
  return `flag ${flagKey} has the type ${flagTypeName(type) ?? "unknown"}, but ${flagTypeName(wanted)} was asked for`;
}
