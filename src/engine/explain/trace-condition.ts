import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Value } from "@bufbuild/protobuf/wkt";
import {
  type ConditionTrace,
  type ConditionTraceListSchema,
  ConditionTraceSchema,
  type MatchTrace,
  MatchTraceSchema,
  type SegmentTrace,
  SegmentTraceSchema,
  SegmentVerdict,
} from "../../../gen/flagwire/v1/trace_pb.js";
import { targetingKey } from "../attribute.js";
import type { CompiledCondition, CompiledSegment } from "../compiled-condition.js";
import type { Context } from "../context.js";
import type { AttributeTracer } from "./attribute-tracer.js";
import { BUCKET_PARTS, type TraceBudget } from "./trace-budget.js";
import { traceShare } from "./trace-rollout.js";
import { MAX_VALUES, toTraceValue } from "./trace-value.js";

type Kind = NonNullable<MessageInitShape<typeof ConditionTraceSchema>["kind"]>;
type MatchCondition = Extract<CompiledCondition, { kind: "match" }>;

/** Traces the conditions of one evaluation, and the segments that they use, each once. */
export class ConditionTracer {
  readonly segments: SegmentTrace[] = [];
  readonly #known = new Map<string, SegmentTrace>();

  constructor(
    readonly context: Context,
    readonly now: number,
    readonly attributes: AttributeTracer,
    readonly budget: TraceBudget,
  ) {}

  trace(condition: CompiledCondition): ConditionTrace {
    if (!this.budget.take(1)) {
      return create(ConditionTraceSchema, { holds: condition.test(this.context, this.now) });
    }
    switch (condition.kind) {
      case "all": {
        const { list, decided } = this.#list(condition.conditions, false);
        return create(ConditionTraceSchema, { holds: !decided, kind: { case: "all", value: list } });
      }
      case "any": {
        const { list, decided } = this.#list(condition.conditions, true);
        return create(ConditionTraceSchema, { holds: decided, kind: { case: "any", value: list } });
      }
      case "not": {
        const value = this.trace(condition.condition);
        return create(ConditionTraceSchema, { holds: !value.holds, kind: { case: "not", value } });
      }
      case "match":
        return this.#leaf(condition, { case: "match", value: this.#match(condition) });
      case "segment": {
        const { contains } = this.#segment(condition.key, condition.segment);
        return create(ConditionTraceSchema, { holds: contains, kind: { case: "segment", value: condition.key } });
      }
      case "rollout": {
        this.budget.take(BUCKET_PARTS);
        const { trace, holds } = traceShare(condition.share, condition.hash, this.context, this.attributes);
        return create(ConditionTraceSchema, { holds, kind: { case: "rollout", value: trace } });
      }
    }
  }

  #leaf({ test }: CompiledCondition, kind: Kind): ConditionTrace {
    return create(ConditionTraceSchema, { holds: test(this.context, this.now), kind });
  }

  /** Conditions up to the first that is as `end`. */
  #list(
    conditions: readonly CompiledCondition[],
    end: boolean,
  ): { readonly list: MessageInitShape<typeof ConditionTraceListSchema>; readonly decided: boolean } {
    const traces: ConditionTrace[] = [];
    for (const condition of conditions) {
      const trace = this.trace(condition);
      traces.push(trace);
      if (trace.holds !== end) continue;
      return { list: { conditions: traces, skipped: conditions.length - traces.length }, decided: true };
    }
    return { list: { conditions: traces }, decided: false };
  }

  #match({ match, read, compares }: MatchCondition): MatchTrace {
    const value = read(this.context, this.now);
    const isExists = match.values.length === 0;
    const attribute = this.attributes[isExists ? "whole" : "elements"](match.attribute, value, compares);
    const literals = attribute.redacted ? [] : match.values.slice(0, MAX_VALUES);
    // The attribute's name, and the names in its value, may be as long as texts.
    this.budget.take(1 + literals.length + partsOf(attribute.value));
    return create(MatchTraceSchema, {
      attribute,
      operator: match.operator,
      values: literals.flatMap(({ kind }) => toTraceValue(kind.value) ?? []),
      valueCount: match.values.length,
      ignoreCase: match.ignoreCase,
    });
  }

  #segment(key: string, segment: CompiledSegment): SegmentTrace {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const trace = create(SegmentTraceSchema, { key });
    this.#known.set(key, trace);
    this.segments.push(trace);
    const subject = targetingKey(this.context);
    trace.targetingKey = this.attributes.whole("targetingKey", subject, () => true);
    trace.verdict = this.#verdict(segment, subject);
    if (trace.verdict === SegmentVerdict.CONDITION && segment.condition !== undefined) {
      trace.condition = this.trace(segment.condition);
      trace.contains = trace.condition.holds;
    } else {
      trace.contains = trace.verdict === SegmentVerdict.INCLUDED;
    }
    return trace;
  }

  #verdict({ included, excluded, condition }: CompiledSegment, key: string | undefined): SegmentVerdict {
    if (key !== undefined && included.has(key)) return SegmentVerdict.INCLUDED;
    if (key !== undefined && excluded.has(key)) return SegmentVerdict.EXCLUDED;
    return condition === undefined ? SegmentVerdict.NOT_LISTED : SegmentVerdict.CONDITION;
  }
}

/** How many texts a value that is shown may consist of. */
function partsOf(value: Value | undefined): number {
  const kind = value?.kind.case;
  if (kind === undefined) return 0;
  return kind === "listValue" || kind === "structValue" ? 2 * MAX_VALUES : 1;
}
