import { fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ConditionTrace, type Trace, TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { type Context, explain, type Outcome } from "../../src/engine/index.js";
import { anyItems, soundItems, wildItems } from "./arbitraries.js";
import { anyContext, someContext } from "./arbitrary-contexts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { snapshotOf } from "./build.js";

const NOW = Date.UTC(2026, 5, 1);

/** The answer that a trace ends in, as the outcome that it should be. */
function answerOf({ flags: [asked] }: Trace) {
  return (
    asked && {
      flagKey: asked.flagKey,
      variant: asked.variant || undefined,
      reason: asked.reason,
      ruleId: asked.ruleId || undefined,
      prerequisiteKey: asked.prerequisiteKey || undefined,
      errorCode: asked.errorCode || undefined,
    }
  );
}

function partsOf({ flagKey, variant, reason, ruleId, prerequisiteKey, errorCode }: Outcome) {
  return {
    flagKey,
    variant: variant || undefined,
    reason,
    ruleId: ruleId || undefined,
    prerequisiteKey: prerequisiteKey || undefined,
    errorCode,
  };
}

/** Every condition in a trace. */
function conditionsIn(trace: Trace): ConditionTrace[] {
  const found: ConditionTrace[] = [];
  const visit = (condition: ConditionTrace | undefined): void => {
    if (condition === undefined) return;
    found.push(condition);
    const { kind } = condition;
    if (kind.case === "all" || kind.case === "any") kind.value.conditions.forEach(visit);
    if (kind.case === "not") visit(kind.value);
  };
  for (const { steps } of trace.flags)
    for (const { kind } of steps) if (kind.case === "rule") visit(kind.value.condition);
  for (const { condition } of trace.segments) visit(condition);
  return found;
}

/** Whether a condition holds, by what its trace says of its parts. */
function holdsByItsParts({ kind, holds }: ConditionTrace, trace: Trace): boolean {
  switch (kind.case) {
    case "all":
      return kind.value.conditions.every((condition) => condition.holds) && kind.value.skipped === 0;
    case "any":
      return kind.value.conditions.some((condition) => condition.holds);
    case "not":
      return !kind.value.holds;
    case "segment":
      return trace.segments.find(({ key }) => key === kind.value)?.contains ?? !holds;
    case "rollout": {
      const { bucket, start, end } = kind.value;
      return bucket?.bucket !== undefined && bucket.bucket >= start && bucket.bucket < end;
    }
    default:
      return holds;
  }
}

describe(`an explanation (seed ${SEED})`, () => {
  test("ends in the answer that select gives, for any flags and any context", () => {
    fc.assert(
      fc.property(
        fc.oneof(anyItems, wildItems, soundItems),
        fc.array(fc.oneof(anyContext, someContext), { minLength: 2, maxLength: 6 }),
        (items, contexts) => {
          for (const compiled of snapshotOf(...items).flags()) {
            for (const context of contexts) {
              expect(answerOf(explain(compiled, context, NOW))).toEqual(partsOf(compiled.select(context, NOW)));
            }
          }
        },
      ),
      runs(800),
    );
  });

  test("is consistent in itself and survives the wire", () => {
    fc.assert(
      fc.property(soundItems, someContext, (items, context) => {
        for (const compiled of snapshotOf(...items).flags()) {
          const trace = explain(compiled, context, NOW);
          expect(fromBinary(TraceSchema, toBinary(TraceSchema, trace))).toEqual(trace);
          for (const condition of conditionsIn(trace)) {
            expect(condition.holds).toBe(holdsByItsParts(condition, trace));
          }
        }
      }),
      runs(400),
    );
  });

  test("never tells the value of a private attribute", () => {
    const secret = "s3cr3t";
    const hidden: Context = { targetingKey: secret, plan: secret, "device.os": secret, device: { os: secret } };
    const privateAttributes = ["targetingKey", "plan", "device"];
    fc.assert(
      fc.property(fc.oneof(soundItems, wildItems), someContext, (items, context) => {
        for (const compiled of snapshotOf(...items).flags()) {
          const trace = explain(compiled, { ...context, ...hidden }, NOW, { privateAttributes });
          expect(toJsonString(TraceSchema, trace)).not.toContain(secret);
        }
      }),
      runs(300),
    );
  });
});
