import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { EvaluateResponse } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { printable } from "../base/index.js";
import { toDocument, toPlainValue } from "./response-document.js";

/**
 * An answer to an evaluation in the JSON form of EvaluateResponse, whoever gave it: the server or a mirror. What is empty is
 * not there.
 */
export interface Answer {
  readonly flagKey: string;
  readonly value?: JsonValue;
  readonly variant?: string;
  readonly reason: string;
  readonly ruleId?: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly revision: string;
  readonly metadata?: JsonValue;
  readonly prerequisiteKey?: string;
  /** Where an explanation was asked for. */
  readonly trace?: JsonObject;
}

export function fromResponse(response: EvaluateResponse): Answer {
  const { flagKey, reason, revision, value, variant, ruleId, error, metadata, prerequisiteKey, trace } = response;
  return {
    flagKey,
    ...(value === undefined ? {} : { value: toPlainValue(value) }),
    ...(variant === "" ? {} : { variant }),
    reason,
    ...(ruleId === "" ? {} : { ruleId }),
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    revision: String(revision),
    ...(metadata === undefined ? {} : { metadata }),
    ...(prerequisiteKey === "" ? {} : { prerequisiteKey }),
    ...(trace === undefined ? {} : { trace: toDocument(TraceSchema, trace) }),
  };
}

/** Such as `new-checkout = true, variant on (SPLIT, rule beta, revision 12)`. */
export function describeAnswer(answer: Answer): string {
  const rule = answer.ruleId === undefined ? "" : `, rule ${answer.ruleId}`;
  const prerequisite = answer.prerequisiteKey === undefined ? "" : `, prerequisite ${answer.prerequisiteKey}`;
  const why = `(${answer.reason}${rule}${prerequisite}, revision ${answer.revision})`;
  return printable(`${answer.flagKey} ${describeValue(answer)} ${why}`);
}

function describeValue({ value, variant, error }: Answer): string {
  if (error !== undefined) return `has no answer: ${error.code}: ${error.message}`;
  if (value === undefined) return "has no value: callers use their own default";
  return `= ${JSON.stringify(value)}, variant ${variant}`;
}
