import { create } from "@bufbuild/protobuf";
import type { Value } from "@bufbuild/protobuf/wkt";
import { AttributeState, type AttributeTrace, AttributeTraceSchema } from "../../../gen/flagwire/v1/trace_pb.js";
import { type AttributeValue, toAttributeValue } from "../attribute.js";
import type { CompareValue } from "../operators/test-value.js";
import type { PrivateAttributes } from "./private-attributes.js";
import { toTraceValue } from "./trace-value.js";

/** Tells what one evaluation found under names. A value is looked at once, however many conditions ask for it. */
export class AttributeTracer {
  readonly #hidden: PrivateAttributes;
  readonly #shown = new Map<string, Value | undefined>();

  constructor(hidden: PrivateAttributes) {
    this.#hidden = hidden;
  }

  isPrivate(name: string): boolean {
    return this.#hidden.has(name);
  }

  /** A value that is compared, hashed or looked up as a whole. */
  whole(name: string, value: AttributeValue | undefined, compares: CompareValue): AttributeTrace {
    return this.#trace(name, value, value !== undefined && compares(value));
  }

  /** A value of which, if it is a list, each element is compared. */
  elements(name: string, value: AttributeValue | undefined, compares: CompareValue): AttributeTrace {
    if (!Array.isArray(value)) return this.whole(name, value, compares);
    const isCompared = value.some((element) => {
      const comparable = toAttributeValue(element);
      return comparable !== undefined && compares(comparable);
    });
    return this.#trace(name, value, isCompared);
  }

  #trace(name: string, value: AttributeValue | undefined, isCompared: boolean): AttributeTrace {
    const redacted = this.isPrivate(name);
    const trace = create(AttributeTraceSchema, { name, redacted, state: AttributeState.MISSING });
    if (value === undefined) return trace;
    trace.state = isCompared ? AttributeState.COMPARED : AttributeState.WRONG_TYPE;
    const shown = redacted ? undefined : this.#show(name, value);
    if (shown !== undefined) trace.value = shown;
    return trace;
  }

  #show(name: string, value: AttributeValue): Value | undefined {
    if (!this.#shown.has(name)) this.#shown.set(name, toTraceValue(value));
    return this.#shown.get(name);
  }
}
