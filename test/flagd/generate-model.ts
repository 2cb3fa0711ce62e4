import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { condition, NATIVE_VARIANTS, serve } from "./generate-native.js";

// Files as people have them: flags of every type that require each other, segments that use each other, individual targets,
// flags that are off or killed, and now and then what flagd cannot express.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const MODEL_KEYS = ["a", "b", "c", "d"] as const;
const SEGMENTS = ["staff", "testers"] as const;

const TYPES: readonly (readonly [type: string, variants: { readonly [name: string]: Json }])[] = [
  ["BOOLEAN", { on: true, off: false, red: true }],
  ["STRING", { on: "ON", off: "", red: "RED" }],
  ["NUMBER", { on: 1, off: 0, red: -2.5 }],
  ["OBJECT", { on: { a: [1, null] }, off: {}, red: { nested: { b: "x" } } }],
];

const variant = fc.constantFrom(...NATIVE_VARIANTS);

const match = (attribute: string, operator: string, values: Json[], ignoreCase = false): JsonObject => {
  return { match: { attribute, operator: `OPERATOR_${operator}`, values, ignoreCase } };
};
const caseless = fc
  .tuple(
    fc.constantFrom("mail", "s1", "targetingKey"),
    fc.constantFrom("IN", "STARTS_WITH", "ENDS_WITH", "CONTAINS"),
    fc.array(fc.constantFrom("a", "AB", "k", "Ki", "@x.io", "", "18", "boss"), { minLength: 1, maxLength: 2 }),
  )
  .map(([attribute, operator, texts]) => match(attribute, operator, texts, true));
/** What flagd has nothing for. */
const foreign = fc.constantFrom(
  match("s1", "MATCHES", ["^a.*$"]),
  match("s1", "IN_CIDR", ["10.0.0.0/8"]),
  match("s1", "AFTER", ["2026-01-01T00:00:00Z"]),
  match("s1", "IN", ["É"], true),
);

const inSegment = (keys: readonly string[]) => fc.constantFrom(...keys).map((key): JsonObject => ({ segment: key }));

const ruleCondition = fc.oneof(
  { weight: 8, arbitrary: condition },
  { weight: 3, arbitrary: caseless },
  { weight: 2, arbitrary: inSegment(SEGMENTS) },
  { weight: 1, arbitrary: foreign },
);

const targetingKeys = fc.uniqueArray(fc.constantFrom("vip", "u1", "boss", "a"), { minLength: 1, maxLength: 2 });

function targetingOf(key: string, others: readonly string[]): fc.Arbitrary<JsonObject> {
  const prerequisite = fc.record({
    flagKey: fc.constantFrom(...others, ...others, ...others, "gone"),
    variants: fc.uniqueArray(variant, { minLength: 1, maxLength: 2 }),
  });
  return fc
    .record({
      enabled: fc.constantFrom(true, true, true, true, true, false),
      isKilled: fc.constantFrom(false, false, false, false, false, true),
      offVariant: fc.constantFrom("", "off", "off", "red"),
      prerequisites: others.length === 0 ? fc.constant([]) : fc.array(prerequisite, { maxLength: 2 }),
      targets: fc.array(fc.record({ variant, targetingKeys }), { maxLength: 2 }),
      rules: fc.array(fc.record({ condition: ruleCondition, serve }), { maxLength: 2 }),
      default: fc.option(serve, { nil: undefined }),
    })
    .map(({ isKilled, rules, ...rest }) => ({
      flagKey: key,
      ...rest,
      rules: rules.map((rule, index) => ({ id: `r${index}`, ...rule })),
      ...(isKilled ? { killed: { reason: "x" } } : {}),
    })) as fc.Arbitrary<JsonObject>;
}

const usesSegment = (json: JsonObject): boolean => JSON.stringify(json).includes('"segment"');

const segments = fc
  .record({
    keys: fc.record({ included: fc.subarray(["boss", "u1"]), excluded: fc.subarray(["u1", "vip"]) }),
    testers: condition.filter((c) => !usesSegment(c)),
    staff: fc.oneof(
      condition.filter((c) => !usesSegment(c)),
      inSegment(["testers"]),
      caseless,
    ),
  })
  .map(({ keys, testers, staff }) => [
    { key: "staff", ...keys, condition: staff },
    { key: "testers", included: ["vip"], condition: testers },
  ]);

/** A file with the flags `a` to `d`, of which each may require those after it. */
export const modelFile: fc.Arbitrary<FlagFile> = fc
  .record({
    types: fc.array(fc.constantFrom(...TYPES), { minLength: MODEL_KEYS.length, maxLength: MODEL_KEYS.length }),
    targetings: fc.tuple(...MODEL_KEYS.map((key, index) => targetingOf(key, MODEL_KEYS.slice(index + 1)))),
    segments,
  })
  .map(({ types, targetings, segments }) => {
    const flags = MODEL_KEYS.map((key, index) => {
      const [type, variants] = types[index] ?? TYPES[0] ?? [];
      return { key, type: `FLAG_TYPE_${type}`, kind: "FLAG_KIND_OPERATIONAL", variants, metadata: { team: key } };
    });
    return fromJson(FlagFileSchema, JSON.parse(JSON.stringify({ flags, targetings, segments })));
  });

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** What a context for it has more than for a native flag. */
export const mail = optional(
  fc.constantFrom("a@X.io", "ANN@x.IO", "\u212ai", "kI", "k\u0130", "AB", "ab", "x", "", "🙂@x.io", "@x.i", "boss"),
);
