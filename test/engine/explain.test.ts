import { toBinary, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { type Condition, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { type Context, type ExplainOptions, explain } from "../../src/engine/index.js";
import {
  all,
  any,
  flag,
  inSegment,
  match,
  not,
  rule,
  segment,
  serve,
  serveRollout,
  share,
  snapshotOf,
  type TargetingInit,
  value,
} from "./build.js";

type Items = Parameters<typeof snapshotOf>;

/** The trace of the flag `f` in protobuf's JSON form. */
function traceOf(items: Items, context: Context = {}, options: ExplainOptions = {}) {
  const found = snapshotOf(...items).flag("f");
  if (found === undefined) throw new Error("there is no flag f");
  return JSON.parse(JSON.stringify(toJson(TraceSchema, explain(found, context, 0, options))));
}

/** The steps of the flag `f`. */
function stepsOf(targeting: TargetingInit, context: Context = {}, others: Items = []) {
  return traceOf([flag("f", targeting), ...others], context).flags[0].steps;
}

/** The condition of a rule of the flag `f`. */
function conditionOf(condition: Condition, context: Context = {}, others: Items = []) {
  const [, step] = stepsOf({ rules: [rule(condition)] }, context, others);
  return step.rule.condition;
}

const isPro = match("plan", Operator.IN, ["pro"]);
const isAdult = match("age", Operator.GREATER_OR_EQUAL, [18]);

describe("the steps are told up to the one that decides:", () => {
  test("killed, with who, when and why", () => {
    const killed = { killedBy: "ann", reason: "payments fail", killedAt: { seconds: 60n } };
    expect(stepsOf({ killed, rules: [rule(isPro)] })).toEqual([
      {
        switch: {
          enabled: true,
          offVariant: "off",
          killed: { killedBy: "ann", reason: "payments fail", killedAt: "1970-01-01T00:01:00Z" },
        },
      },
    ]);
  });

  test("not enabled", () => {
    expect(stepsOf({ enabled: false, rules: [rule(isPro)] })).toEqual([{ switch: { offVariant: "off" } }]);
  });

  test("a target", () => {
    expect(stepsOf({ targets: [{ variant: "c", targetingKeys: ["u1", "u2"] }] }, { targetingKey: "u2" })).toEqual([
      { switch: { enabled: true, offVariant: "off" } },
      {
        targets: {
          keyCount: 2,
          variant: "c",
          targetingKey: { name: "targetingKey", state: "ATTRIBUTE_STATE_COMPARED", value: "u2" },
        },
      },
    ]);
  });

  test("the first rule that holds, and not those after it", () => {
    const rules = [rule(isAdult, "adults"), rule(isPro, "pros"), rule(all(), "all")];
    const steps = stepsOf({ rules }, { plan: "pro", age: 7 });
    expect(steps.map((step: { rule?: { id: string } }) => step.rule?.id)).toEqual([undefined, "adults", "pros"]);
    expect(steps[1].rule.serve).toBeUndefined();
    expect(steps[2].rule.serve).toEqual({ variant: "b" });
  });

  test("the default, after every rule", () => {
    expect(stepsOf({ rules: [rule(isPro)] }).at(-1)).toEqual({ default: { variant: "a" } });
  });

  test("no default", () => {
    const trace = traceOf([flag("f", { default: undefined } as unknown as TargetingInit)]);
    expect(trace.flags[0]).toMatchObject({ reason: "DEFAULT", steps: [{}, { default: {} }] });
  });

  test("what is wrong with a flag", () => {
    const trace = traceOf([flag("f", { default: serve("nope") })]);
    expect(trace.flags[0]).toEqual({
      flagKey: "f",
      reason: "ERROR",
      errorCode: "MALFORMED_FLAG",
      steps: [{ malformed: { problems: ['targeting.default.variant: the flag has no variant "nope"'] } }],
    });
  });

  test("what is wrong with a killed flag, and that it is killed", () => {
    const trace = traceOf([flag("f", { default: serve("nope"), killed: {} })]);
    expect(trace.flags[0].reason).toBe("KILLED");
    expect(Object.keys(Object.assign({}, ...trace.flags[0].steps))).toEqual(["malformed", "switch"]);
  });
});

describe("a prerequisite", () => {
  const requires = (flagKey: string): TargetingInit => ({ prerequisites: [{ flagKey, variants: ["a", "b"] }] });
  const verdictOf = (flagKey: string, others: Items) => stepsOf(requires(flagKey), {}, others)[1].prerequisite;

  test("is fulfilled by an accepted variant, and its own trace follows", () => {
    const trace = traceOf([flag("f", requires("other")), flag("other")]);
    expect(trace.flags[0].steps[1].prerequisite).toEqual({
      flagKey: "other",
      variants: ["a", "b"],
      verdict: "PREREQUISITE_VERDICT_FULFILLED",
      variant: "a",
    });
    expect(trace.flags[1]).toMatchObject({ flagKey: "other", variant: "a", reason: "STATIC" });
  });

  test("fails by another variant", () => {
    expect(verdictOf("other", [flag("other", { default: serve("c") })])).toMatchObject({
      verdict: "PREREQUISITE_VERDICT_OTHER_VARIANT",
      variant: "c",
    });
  });

  test.each([
    ["MISSING", []],
    ["KILLED", [flag("other", { killed: {}, offVariant: "a" })]],
    ["DISABLED", [flag("other", { enabled: false, offVariant: "a" })]],
    ["MALFORMED", [flag("other", { default: serve("nope") })]],
  ] as const)("fails as %s without being asked", (verdict, others) => {
    const trace = traceOf([flag("f", requires("other")), ...others]);
    expect(trace.flags).toHaveLength(1);
    expect(trace.flags[0]).toMatchObject({ reason: "PREREQUISITE_FAILED", prerequisiteKey: "other", variant: "off" });
    expect(trace.flags[0].steps[1].prerequisite.verdict).toBe(`PREREQUISITE_VERDICT_${verdict}`);
  });

  test("that several flags require is traced once", () => {
    const trace = traceOf([
      flag("f", { prerequisites: ["left", "right"].map((flagKey) => ({ flagKey, variants: ["a"] })) }),
      flag("left", requires("base")),
      flag("right", requires("base")),
      flag("base"),
    ]);
    expect(trace.flags.map(({ flagKey }: { flagKey: string }) => flagKey)).toEqual(["f", "left", "base", "right"]);
  });
});

describe("a condition is told with", () => {
  test("the attribute's value and the comparison", () => {
    expect(conditionOf(isAdult, { age: 17 })).toEqual({
      match: {
        attribute: { name: "age", state: "ATTRIBUTE_STATE_COMPARED", value: 17 },
        operator: "OPERATOR_GREATER_OR_EQUAL",
        values: [18],
        valueCount: 1,
      },
    });
  });

  test.each([
    ["missing", {}],
    ["null", { age: null }],
    ["not JSON", { age: Number.NaN }],
  ])("an attribute that is %s", (_what, context) => {
    expect(conditionOf(isAdult, context).match.attribute).toEqual({ name: "age", state: "ATTRIBUTE_STATE_MISSING" });
  });

  test("a value of a type that the operator does not compare", () => {
    const { attribute } = conditionOf(isAdult, { age: "17" }).match;
    expect(attribute).toEqual({ name: "age", state: "ATTRIBUTE_STATE_WRONG_TYPE", value: "17" });
  });

  test("a list, compared if any element is", () => {
    expect(conditionOf(isAdult, { age: ["x", 20] })).toMatchObject({
      holds: true,
      match: { attribute: { state: "ATTRIBUTE_STATE_COMPARED", value: ["x", 20] } },
    });
  });

  test("a list by what its elements are to JSON", () => {
    const stateOf = (condition: Condition, x: unknown) => conditionOf(condition, { x }).match.attribute.state;
    const isIn = match("x", Operator.IN, ["pro"]);
    expect(stateOf(isIn, [new String("pro")])).toBe("ATTRIBUTE_STATE_COMPARED");
    expect(stateOf(isIn, [Number.NaN, undefined])).toBe("ATTRIBUTE_STATE_WRONG_TYPE");
    expect(stateOf(match("x", Operator.EXISTS, []), [])).toBe("ATTRIBUTE_STATE_COMPARED");
    const { bucket } = conditionOf(share({ weight: 1, bucketBy: "x" }), { x: ["u1"] }).rollout;
    expect(bucket.value.state).toBe("ATTRIBUTE_STATE_WRONG_TYPE");
  });

  test("one look at a value, however many conditions compare it", () => {
    let reads = 0;
    const x = {
      get member() {
        reads++;
        return "m";
      },
    };
    const conditions = Array.from({ length: 50 }, () => match("x", Operator.EXISTS, []));
    expect(conditionOf(all(...conditions), { x }).all.conditions).toHaveLength(50);
    expect(reads).toBe(1);
  });

  test("the first 20 of many values, and their number", () => {
    const values = Array.from({ length: 1_000 }, (_, index) => `v${index}`);
    const { match: told } = conditionOf(match("plan", Operator.IN, values), { plan: "v999" });
    expect(told.values).toEqual(values.slice(0, 20));
    expect(told.valueCount).toBe(1_000);
  });

  test("long texts cut, whole characters only", () => {
    const { value } = conditionOf(isPro, { plan: "😀".repeat(1_000) }).match.attribute;
    expect(value).toMatch(/^(😀)+\ufffd?…$/u);
    expect(value.length).toBe(200);
  });

  test("long lists and deep objects cut", () => {
    const exists = match("x", Operator.EXISTS, []);
    expect(conditionOf(exists, { x: Array.from({ length: 30 }, () => 1) }).match.attribute.value).toHaveLength(21);
    const deep = { a: { b: { c: { d: { e: 1 } } } } };
    expect(conditionOf(exists, { x: deep }).match.attribute.value).toEqual({ a: { b: { c: { d: "…" } } } });
  });

  test("the conditions that were not looked at counted", () => {
    expect(conditionOf(all(isAdult, isPro, isPro), { age: 3 }).all).toMatchObject({ conditions: [{}], skipped: 2 });
    expect(conditionOf(any(isAdult, isPro, isPro), { plan: "pro" }).any).toMatchObject({ skipped: 1 });
    expect(conditionOf(not(isAdult))).toMatchObject({ holds: true, not: { match: {} } });
  });

  test("the share of a rollout and the bucket", () => {
    expect(conditionOf(share({ weight: 30_000, start: 10_000, salt: "s" }), { targetingKey: "u1" })).toMatchObject({
      rollout: {
        start: 10_000,
        end: 40_000,
        bucket: { salt: "s", input: "su1", totalWeight: 100_000, algorithm: "ROLLOUT_ALGORITHM_MURMUR3_32" },
      },
    });
  });
});

describe("a segment", () => {
  const segmentOf = (init: Parameters<typeof segment>[1], context: Context) =>
    traceOf([flag("f", { rules: [rule(inSegment("s"))] }), segment("s", init)], context).segments[0];
  const init = { included: ["in"], excluded: ["in", "out"], condition: isPro };

  test.each([
    ["INCLUDED", true, { targetingKey: "in" }],
    ["EXCLUDED", false, { targetingKey: "out", plan: "pro" }],
    ["CONDITION", true, { targetingKey: "other", plan: "pro" }],
    ["CONDITION", false, { plan: "free" }],
  ])("decides by %s: %s", (verdict, contains, context) => {
    const trace = segmentOf(init, context);
    expect(trace.verdict).toBe(`SEGMENT_VERDICT_${verdict}`);
    expect(trace.contains ?? false).toBe(contains);
    expect(trace.condition !== undefined).toBe(verdict === "CONDITION");
  });

  test("without a condition holds for nobody who is not listed", () => {
    expect(segmentOf({ included: ["in"] }, { targetingKey: "u1" }).verdict).toBe("SEGMENT_VERDICT_NOT_LISTED");
  });

  test("that several conditions use is told once", () => {
    const rules = [rule(all(inSegment("s"), isAdult), "r1"), rule(inSegment("s"), "r2")];
    const trace = traceOf([flag("f", { rules }), segment("s", { included: ["u1"] })], { targetingKey: "u1" });
    expect(trace.segments).toHaveLength(1);
  });
});

describe("a rollout is told with", () => {
  const shares = [
    { variant: "a", weight: 1 },
    { variant: "b", weight: 0 },
    { variant: "c", weight: 3 },
  ];
  const rolloutOf = (context: Context, options?: ExplainOptions) =>
    traceOf([flag("f", { default: serveRollout({ shares, salt: "salt-" }) })], context, options).flags[0].steps[1]
      .default.rollout;

  test("what was hashed, the bucket and the share that it lies in", () => {
    const { bucket, shares: told } = rolloutOf({ targetingKey: "u1" });
    expect(bucket).toMatchObject({ input: "salt-u1", totalWeight: 4 });
    expect(bucket.bucket).toBe(Math.floor((bucket.hash * 4) / 2 ** 32));
    expect(told).toHaveLength(3);
    for (const { start = 0, end, chosen = false } of told) {
      expect(chosen).toBe(bucket.bucket >= start && bucket.bucket < end);
    }
  });

  test("nothing to hash", () => {
    const trace = traceOf([flag("f", { default: serveRollout({ shares }) })]);
    expect(trace.flags[0]).toMatchObject({ reason: "ERROR", errorCode: "TARGETING_KEY_MISSING" });
    const { bucket } = trace.flags[0].steps[1].default.rollout;
    expect(bucket).toMatchObject({ value: { state: "ATTRIBUTE_STATE_MISSING" }, totalWeight: 4 });
    expect(bucket).not.toHaveProperty("input");
  });

  test("the share alone where what is hashed is private", () => {
    const { bucket, shares: told } = rolloutOf({ targetingKey: "u1" }, { privateAttributes: ["targetingKey"] });
    expect(bucket.value).toEqual({ name: "targetingKey", state: "ATTRIBUTE_STATE_COMPARED", redacted: true });
    for (const absent of ["input", "hash", "bucket"]) expect(bucket).not.toHaveProperty(absent);
    expect(told.filter(({ chosen }: { chosen?: boolean }) => chosen)).toHaveLength(1);
  });
});

describe("what is private stands for", () => {
  const told = (attribute: string, privateName: string, context: Context) =>
    traceOf([flag("f", { rules: [rule(match(attribute, Operator.IN, ["pro"]))] })], context, {
      privateAttributes: [privateName],
    }).flags[0].steps[1].rule.condition.match;

  test("itself, without the values that it is compared with", () => {
    const trace = told("plan", "plan", { plan: "pro" });
    expect(trace.attribute).toEqual({ name: "plan", state: "ATTRIBUTE_STATE_COMPARED", redacted: true });
    expect(trace).not.toHaveProperty("values");
    expect(trace.valueCount).toBe(1);
  });

  test("what is inside it, and what it is inside of", () => {
    expect(told("user.plan", "user", { user: { plan: "pro" } }).attribute.redacted).toBe(true);
    expect(told("user", "user.plan", { user: { plan: "pro" } }).attribute.redacted).toBe(true);
    expect(told("user.plan", "user.name", { user: { plan: "pro" } }).attribute.redacted).toBeUndefined();
    expect(told("username", "user", { username: "pro" }).attribute.redacted).toBeUndefined();
  });
});

test("a trace of all that the engine can evaluate fits a message", () => {
  const long = (index: number): string => `${index}${"語".repeat(250)}`;
  const values = Array.from({ length: 30 }, (_, index) => long(index));
  const matches = Array.from({ length: 4_000 }, () => match("x", Operator.CONTAINS, [values.join("")]));
  const condition = all(...matches, match("x", Operator.EXISTS, []), not(match("y", Operator.CONTAINS, values)));
  const shares = Array.from({ length: 500 }, () => share({ salt: "説".repeat(256), bucketBy: "z", weight: 1 }));
  const rules = [
    rule(any(...shares), "shares"),
    ...Array.from({ length: 5 }, (_, index) => rule(not(condition), `r${index}`)),
  ];
  const sizeBytes = traceBytes([flag("f", { rules })], { x: values.join(""), y: values, z: long(0) });
  expect(sizeBytes).toBeLessThan(2.2 * 2 ** 20);
});

test("a trace of objects with long names fits a message", () => {
  const long = "€".repeat(400);
  const x = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${index}${long}`, long]));
  const conditions = Array.from({ length: 1_000 }, () => not(match("x", Operator.CONTAINS, [long])));
  expect(traceBytes([flag("f", { rules: [rule(all(...conditions))] })], { x })).toBeLessThan(2.2 * 2 ** 20);
});

test("a trace of many flags with many rules fits a message, and tells what decided", () => {
  const description = "€".repeat(200);
  const rules = Array.from({ length: 256 }, (_, index) => ({
    ...rule(match("x", Operator.IN, ["y"]), `${"r".repeat(120)}${index}`),
    description,
  }));
  const variants = Array.from({ length: 256 }, (_, index) => `${"v".repeat(120)}${index}`);
  const shares = variants.map((variant) => ({ variant, weight: 1 }));
  const others = Array.from({ length: 32 }, (_, index) =>
    flag(
      `other-${index}`,
      { rules },
      { variants: Object.fromEntries(["a", "b", "off", ...variants].map((v) => [v, value(v)])) },
    ),
  );
  const prerequisites = others.map((_, index) => ({ flagKey: `other-${index}`, variants: ["a", "b", "c"] }));
  const decided = {
    ...rule(all(), "decided"),
    serve: serveRollout({ shares: shares.map((one) => ({ ...one, variant: "c" })) }),
  };
  const items = [flag("f", { prerequisites, rules: [...rules, decided].slice(-256) }), ...others];
  expect(traceBytes(items, { targetingKey: "u1" })).toBeLessThan(2.2 * 2 ** 20);
  const { flags, truncated } = traceOf(items, { targetingKey: "u1" });
  expect(truncated).toBe(true);
  expect(flags.length).toBeLessThan(10);
  expect(flags[0]).toMatchObject({ variant: "c", ruleId: "decided" });
  expect(flags[0].steps.at(-1).rule).toMatchObject({
    id: "decided",
    serve: { rollout: { shares: [{ chosen: true }] } },
  });
  const failing = [...prerequisites.slice(1), { flagKey: "gone", variants: ["a"] }];
  const failed = traceOf([flag("f", { prerequisites: failing }), ...others]);
  expect(failed.flags[0]).toMatchObject({ reason: "PREREQUISITE_FAILED", prerequisiteKey: "gone" });
  expect(failed.flags[0].steps.at(-1).prerequisite).toMatchObject({ flagKey: "gone" });
});

function traceBytes(items: Items, context: Context): number {
  const found = snapshotOf(...items).flag("f");
  if (found === undefined) throw new Error("there is no flag f");
  expect(found.problems).toEqual([]);
  const trace = explain(found, context, 0);
  expect(trace.truncated).toBe(true);
  return toBinary(TraceSchema, trace).byteLength;
}
