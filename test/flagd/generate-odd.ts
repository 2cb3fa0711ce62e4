import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";

// Files that the contract allows and few have: names that are traps in JavaScript, JSON or JsonLogic, values at the edges of
// their types, conditions of everything in everything, and all operators. Left out is only what docs/flagd.md lists as answered
// otherwise: lists, objects compared with numbers, odd numbers and text beyond ASCII hashed, odd versions.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const ODD_KEYS = ["a", "b.c", "__proto__", "constructor", "0", "New-Flag_1"] as const;
const SEGMENTS = ["staff", "test.ers", "toString"] as const;
const VARIANTS = ["on", "off", "true", "0", "constructor", "a b", "größe"] as const;

const NAMES = [
  "s1",
  "n1",
  "b1",
  "version",
  "targetingKey",
  "user.name",
  "a.b.c",
  "a b",
  "größe",
  "constructor",
  "length",
];
const ODD_NAMES = [
  "x-y",
  "map",
  "$id",
  "a/b",
  'a"b',
  "toString",
  "roles.0",
  "$flagd.flagKey",
  "a\\b",
  "a..b",
  "$nowhere",
];
const TEXTS = [
  "",
  "a",
  "ab",
  "AB",
  "18",
  "0",
  "true",
  "null",
  " a",
  "é",
  "日本",
  "😀",
  "K",
  "\u0000",
  '"',
  "\\",
  "<b>",
  "u1",
];
const NUMBERS = [0, 1, -1, 18, 2.5, 0.1, 1e21, 1e-7, 2 ** 53, 2 ** 53 - 1, Number.MAX_VALUE, 1_700_000_000];
const VERSIONS = [
  "1.2.3",
  "v1.2.4",
  "V2.0.0",
  "1",
  "1.2",
  "2.0.0-rc.1",
  "2.0.0-rc.1+b5",
  "1.2.3-0",
  "0.0.0",
  "1.2.3--",
];
/** No versions here and in flagd. */
const NO_VERSIONS = ["nonsense", "1.2.3.4", "1.02.3", "1.2.3-01", "1.x", "v"];
const MOMENTS: readonly Json[] = [
  ...[1_700_000_000_000, 1_700_000_001_000, 0, -1_000, 8.64e15, 1e300],
  ...["2023-11-14T22:13:20Z", "2030-01-01 00:00:00+01:00", "2016-12-31T23:59:60Z", "0030-01-01 00:00:00Z"],
];

const text = fc.constantFrom(...TEXTS);
const number = fc.constantFrom(...NUMBERS);
const variant = fc.constantFrom(...VARIANTS);
const name = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD_NAMES) },
);
const several = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 3 });
const match = (attribute: string, operator: string, values: Json[], ignoreCase = false): JsonObject => {
  return { match: { attribute, operator: `OPERATOR_${operator}`, values, ignoreCase } };
};
const ORDERS = ["EQUAL", "LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL"];
const TEXT_OPERATORS = ["IN", "CONTAINS", "STARTS_WITH", "ENDS_WITH"];

const matches: fc.Arbitrary<JsonObject> = fc.oneof(
  fc
    .tuple(name, several(fc.oneof<fc.Arbitrary<Json>[]>(text, number, fc.boolean())))
    .map(([n, v]) => match(n, "IN", v)),
  fc
    .tuple(name, fc.constantFrom(...TEXT_OPERATORS), several(text), fc.boolean())
    .map(([n, operator, values, ignoreCase]) => match(n, operator, values, ignoreCase)),
  fc.tuple(name, fc.constantFrom(...ORDERS), several(number)).map(([n, operator, v]) => match(n, operator, v)),
  fc
    .tuple(fc.constantFrom("version", "s1"), fc.constantFrom(...ORDERS), several(fc.constantFrom(...VERSIONS)))
    .map(([n, operator, values]) => match(n, `SEMVER_${operator}`, values)),
  fc.oneof(name, fc.constant("user")).map((n) => match(n, "EXISTS", [])),
  fc.constantFrom(...MOMENTS).map((moment) => match("$now", "BEFORE", [moment])),
  fc
    .tuple(fc.constantFrom("LESS", "GREATER_OR_EQUAL"), fc.constantFrom(...MOMENTS.filter(Number.isFinite)))
    .map(([operator, moment]) => match("$now", operator, [moment])),
);
/** What flagd has nothing for. */
const foreign = fc.constantFrom(match("s1", "MATCHES", ["^a"]), match("s1", "IN_CIDR", ["10.0.0.0/8"]));

const bucketing = fc.record(
  { bucketBy: fc.constantFrom("", "", "hashable", "user.id"), salt: fc.constantFrom("", "s-", "a", "x ", "1") },
  { requiredKeys: ["bucketBy"] },
);
const share = fc
  .tuple(bucketing, fc.nat(100), fc.nat(100), fc.constantFrom(0, 50, 2 ** 31 - 300))
  .map(([b, start, weight, after]) => ({
    rollout: { ...b, start, weight, totalWeight: Math.max(1, start + weight + after) },
  }));

/** With some segments, which those that use each other must not. */
function conditionWith(segments: readonly string[]): fc.Arbitrary<JsonObject> {
  return fc.letrec<{ condition: JsonObject }>((tie) => {
    const parts = fc.array(tie("condition"), { minLength: 1, maxLength: 3 });
    return {
      condition: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        { weight: 24, arbitrary: matches },
        { weight: 1, arbitrary: foreign },
        { weight: 4, arbitrary: share as fc.Arbitrary<JsonObject> },
        ...segments.map((segment) => ({ weight: 1, arbitrary: fc.constant({ segment }) })),
        { weight: 9, arbitrary: parts.map((conditions) => ({ all: { conditions } })) },
        { weight: 6, arbitrary: parts.map((conditions) => ({ any: { conditions } })) },
        { weight: 6, arbitrary: tie("condition").map((condition) => ({ not: condition })) },
      ),
    };
  }).condition;
}

const rollout = fc
  .tuple(bucketing, several(fc.record({ variant, weight: fc.constantFrom(0, 1, 30, 60, 100_000, 2 ** 29) })))
  .filter(([, shares]) => shares.some(({ weight }) => weight > 0))
  .map(([b, shares]) => ({ rollout: { ...b, shares } }));
const serve = fc.oneof(
  variant.map((served) => ({ variant: served })),
  rollout,
);
const TARGETING_KEYS = ["vip", "u1", "boss", "größe", "true", "1"];
const targets = fc.tuple(variant, fc.subarray(TARGETING_KEYS)).map(([served, targetingKeys]) => {
  return targetingKeys.length === 0 ? [] : [{ variant: served, targetingKeys }];
});

function targetingOf(flagKey: string, others: readonly string[]): fc.Arbitrary<JsonObject> {
  const prerequisite = fc.record({
    flagKey: fc.constantFrom(...others, ...others, ...others, "gone"),
    variants: fc.uniqueArray(variant, { minLength: 1, maxLength: 4 }),
  });
  return fc
    .record({
      enabled: fc.constantFrom(true, true, true, true, true, true, true, false),
      isKilled: fc.constantFrom(false, false, false, false, false, false, false, true),
      offVariant: fc.oneof(fc.constant(""), variant),
      prerequisites:
        others.length === 0 ? fc.constant([]) : fc.oneof(fc.constant([]), fc.array(prerequisite, { maxLength: 2 })),
      targets,
      rules: fc.array(fc.record({ condition: conditionWith(SEGMENTS), serve }), { minLength: 1, maxLength: 3 }),
      default: fc.option(serve, { nil: undefined }),
    })
    .map(({ isKilled, rules, ...rest }) => ({
      ...rest,
      flagKey,
      rules: rules.map((rule, index) => ({ id: `r${index}`, ...rule })),
      ...(isKilled ? { killed: { reason: "x" } } : {}),
    })) as fc.Arbitrary<JsonObject>;
}

const OBJECT: Json = { "": 1, "a.b": [1, null, { $ref: "x" }], toString: "x", if: [1], "😀": "é", n: 1e21 };
const TYPES: readonly (readonly [type: string, value: (index: number) => Json])[] = [
  ["BOOLEAN", (index) => index % 2 === 0],
  ["STRING", (index) => TEXTS[index * 2] ?? ""],
  ["NUMBER", (index) => NUMBERS[index + 4] ?? 0],
  ["OBJECT", (index) => (index % 2 === 0 ? OBJECT : { index })],
];

const listed = fc.record({ included: fc.subarray([...TARGETING_KEYS, ""]), excluded: fc.subarray(TARGETING_KEYS) });
const segments = fc.tuple(
  ...SEGMENTS.map((key, index) =>
    fc.record({
      key: fc.constant(key),
      keys: listed,
      condition: fc.option(conditionWith(SEGMENTS.slice(index + 1)), { nil: undefined }),
    }),
  ),
);

/** A file with the flags of `ODD_KEYS`, of which each may require those after it. */
export const oddFile: fc.Arbitrary<FlagFile> = fc
  .record({
    types: fc.array(fc.constantFrom(...TYPES), { minLength: ODD_KEYS.length, maxLength: ODD_KEYS.length }),
    targetings: fc.tuple(...ODD_KEYS.map((key, index) => targetingOf(key, ODD_KEYS.slice(index + 1)))),
    segments,
  })
  .map(({ types, targetings, segments: made }) => {
    const flags = ODD_KEYS.map((key, index) => {
      const [type, value] = types[index] ?? ["BOOLEAN", () => true];
      const variants = Object.fromEntries(VARIANTS.map((named, at) => [named, value(at)]));
      return { key, type: `FLAG_TYPE_${type}`, variants, metadata: { team: key, n: 1.5, ok: true, constructor: "x" } };
    });
    const file = { flags, targetings, segments: made.map(({ keys, ...rest }) => ({ ...rest, ...keys })) };
    return fromJson(FlagFileSchema, JSON.parse(JSON.stringify(file)));
  });

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const scalar = optional(
  fc.oneof<fc.Arbitrary<Json>[]>(
    text,
    number,
    fc.constantFrom(true, false, null),
    fc.constantFrom(...VERSIONS, ...NO_VERSIONS),
  ),
);
const hashed = optional(fc.constantFrom<Json>("x", "account-7", 7, -12, 0, true, ""));

/** A context for it: what flags ask for is missing, null or of any scalar type. */
export const oddContext = fc
  .record({
    targetingKey: optional(fc.constantFrom("vip", "u1", "boss", "user-2", "ab18", "true", "1", "<b>")),
    ...Object.fromEntries(
      [...NAMES, ...ODD_NAMES]
        .filter((named) => named !== "targetingKey" && !named.includes("."))
        .map((named) => [named, scalar]),
    ),
    hashable: hashed,
    user: optional(fc.record({ name: scalar, id: hashed })),
    a: optional(fc.record({ b: optional(fc.record({ c: scalar })) })),
  })
  .map((context) => JSON.parse(JSON.stringify(context)) as Record<string, Json>);
