import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";

// Native flags of the kinds that flagd can express. Attributes are scalars or missing: lists and objects differ by design.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const NATIVE_VARIANTS = ["on", "off", "red"];

const names = fc.constantFrom("s1", "n1", "b1", "mixed", "targetingKey");
const match = (attribute: string, operator: string, values: readonly Json[]): JsonObject => ({
  match: { attribute, operator: `OPERATOR_${operator}`, ...(values.length > 0 ? { values: [...values] } : {}) },
});
const several = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength: 1, maxLength: 3 });
const numbers = fc.constantFrom(-3, 0, 1, 5, 2.5);
const matches = fc.oneof(
  fc
    .tuple(names, several(fc.constantFrom<Json>("a", "ab", "18", "", 0, 1, 18, true, false)))
    .map(([n, v]) => match(n, "IN", v)),
  fc
    .tuple(names, fc.constantFrom("CONTAINS", "STARTS_WITH", "ENDS_WITH"), several(fc.constantFrom("a", "b", "", "18")))
    .map(([n, op, v]) => match(n, op, v)),
  fc
    .tuple(names, fc.constantFrom("EQUAL", "LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL"), several(numbers))
    .map(([n, op, v]) => match(n, op, v)),
  fc
    .tuple(
      fc.constantFrom("version", "n1"),
      fc.constantFrom("EQUAL", "LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL"),
      fc.constantFrom("1.2.3", "v2", "1.3", "2.0.0-rc.1"),
    )
    .map(([n, op, v]) => match(n, `SEMVER_${op}`, [v])),
  names.map((n) => match(n, "EXISTS", [])),
  fc
    .tuple(fc.constantFrom("LESS", "GREATER_OR_EQUAL"), fc.constantFrom(1_700_000_000_000, 1_700_000_001_000))
    .map(([op, v]) => match("$now", op, [v])),
  fc.constantFrom("2023-11-14T22:13:20Z", "2030-01-01T00:00:00+01:00").map((v) => match("$now", "BEFORE", [v])),
);

const bucketing = fc.record(
  { bucketBy: fc.constantFrom("", "hashable"), salt: fc.constantFrom("", "s-") },
  { requiredKeys: ["bucketBy"] },
);
const share = fc
  .tuple(bucketing, fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }))
  .map(([b, start, weight]) => ({ rollout: { ...b, start, weight, totalWeight: start + weight + 50 } }));

/** Uses the segment `staff`. */
export const condition = fc.letrec<{ condition: JsonObject }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 4, arbitrary: matches },
    { weight: 1, arbitrary: share },
    { weight: 1, arbitrary: fc.constant({ segment: "staff" }) },
    { weight: 2, arbitrary: fc.array(tie("condition"), { maxLength: 3 }).map((c) => ({ all: { conditions: c } })) },
    { weight: 2, arbitrary: fc.array(tie("condition"), { maxLength: 3 }).map((c) => ({ any: { conditions: c } })) },
    { weight: 2, arbitrary: tie("condition").map((c) => ({ not: c })) },
  ),
})).condition as fc.Arbitrary<JsonObject>;

const variant = fc.constantFrom(...NATIVE_VARIANTS);
const rollout = fc
  .tuple(bucketing, several(fc.record({ variant, weight: fc.integer({ min: 1, max: 60 }) })))
  .map(([b, shares]) => ({ rollout: { ...b, shares } }));
export const serve = fc.oneof(
  variant.map((name) => ({ variant: name })),
  rollout,
);

/** A file with the flag `f` and the segment `staff`. */
export const nativeFile: fc.Arbitrary<FlagFile> = fc
  .record({
    enabled: fc.constantFrom(true, true, true, false),
    offVariant: fc.constantFrom("", "off"),
    targets: fc
      .array(variant, { maxLength: 1 })
      .map((list) => list.map((name) => ({ variant: name, targetingKeys: ["vip", "u1"] }))),
    rules: fc
      .array(fc.record({ condition, serve }), { maxLength: 3 })
      .map((rules) => rules.map((rule, index) => ({ id: `r${index}`, ...rule }))),
    default: fc.option(serve, { nil: undefined }),
    staff: condition.filter((c) => !JSON.stringify(c).includes("staff")),
  })
  .map(({ staff, ...targeting }) => {
    const variants = Object.fromEntries(NATIVE_VARIANTS.map((name) => [name, name.toUpperCase()]));
    const file = {
      flags: [{ key: "f", type: "FLAG_TYPE_STRING", kind: "FLAG_KIND_OPERATIONAL", variants }],
      targetings: [{ flagKey: "f", ...targeting }],
      segments: [{ key: "staff", included: ["boss"], excluded: ["u1"], condition: staff }],
    };
    return fromJson(FlagFileSchema, JSON.parse(JSON.stringify(file)));
  });

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** A context for it. */
export const scalarContext = fc
  .record({
    targetingKey: optional(fc.constantFrom("vip", "u1", "boss", "a", "user-2", "user-3", "ab18")),
    s1: optional(fc.constantFrom("", "a", "ab", "18", "0", "zz")),
    n1: optional(fc.constantFrom(-3, 0, 1, 5, 18, 2.5)),
    b1: optional(fc.boolean()),
    mixed: optional(fc.constantFrom<Json>("", "a", "18", 0, 1, 18, 2.5, true, false)),
    version: optional(fc.constantFrom("1.2.3", "v1.2.4", "2.0.0-rc.1", "2", "nonsense", "")),
    hashable: optional(fc.constantFrom<Json>("x", "account-7", 7, -12)),
  })
  .map((context) => JSON.parse(JSON.stringify(context)) as Record<string, Json>);
