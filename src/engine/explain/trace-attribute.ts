import { create } from "@bufbuild/protobuf";
import { AttributeState, type AttributeTrace, AttributeTraceSchema } from "../../../gen/flagwire/v1/trace_pb.js";
import type { AttributeValue } from "../attribute.js";
import type { CompareValue } from "../operators/test-value.js";
import type { PrivateAttributes } from "./private-attributes.js";
import { toTraceValue } from "./trace-value.js";

/** What an evaluation found under a name. */
export function traceAttribute(
  name: string,
  value: AttributeValue | undefined,
  compares: CompareValue,
  hidden: PrivateAttributes,
): AttributeTrace {
  const redacted = hidden.has(name);
  const trace = create(AttributeTraceSchema, { name, redacted, state: stateOf(value, compares) });
  const shown = redacted || value === undefined ? undefined : toTraceValue(value);
  if (shown !== undefined) trace.value = shown;
  return trace;
}

/** A list is compared element by element. */
function stateOf(value: AttributeValue | undefined, compares: CompareValue): AttributeState {
  if (value === undefined) return AttributeState.MISSING;
  const isCompared = Array.isArray(value) ? value.some((element) => compares(element)) : compares(value);
  return isCompared ? AttributeState.COMPARED : AttributeState.WRONG_TYPE;
}
