import fc from "fast-check";

// Flags and contexts in which flagd's Go daemon and its JavaScript evaluation agree, and which are no errors in either.
// Left out because the two differ: the key "$flagd" given by the caller; `== false`, `== 0` and `== null` beside missing,
// false and 0; `<= 0` and `>= 0` of a missing attribute; numbers or nothing looked up in text; `cat` with a missing attribute; a null
// first argument of fractional beside a targeting key; a targeting key that is not text, or empty; entries with more than two
// elements. Left out because our model differs, with a warning or by design: numbers in text under `<` and `== number`,
// numbers as versions, lists and objects compared with a scalar, truth of objects. Text is ASCII: JavaScript hashes other
// text differently.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const VARIANTS = ["on", "off", "red", "true", "false"];
export const NOW_MS = 1_700_000_000_500;
const SECONDS = 1_700_000_000;

const v = (name: string): Json => ({ var: name });
const text = fc.constantFrom("", "a", "ab", "abc", "sm", "lg", "18", "user@faas.com", "x@example.com");
const version = fc.constantFrom(
  "1.2.3",
  "v1.2.4",
  "V2.0.0",
  "2.0.0-rc.1",
  "1",
  "1.3",
  "0.9.0",
  "1.2.3+b1",
  "nonsense",
  "2.0.0.0",
);
const anyName = fc.constantFrom("s1", "s2", "n1", "b1", "mixed", "nested.s3");

const equality = fc.oneof(
  fc
    .tuple(fc.constantFrom("==", "!="), anyName, fc.constantFrom<Json>("a", "sm", "18", "1", 1, true))
    .map(([op, name, literal]) => ({ [op]: [v(name), literal] })),
  fc
    .tuple(fc.constantFrom("==", "!=", "===", "!=="), fc.constantFrom("s1", "nested.s3"))
    .map(([op, name]) => ({ [op]: [v(name), null] })),
  fc
    .tuple(fc.constantFrom("===", "!=="), anyName, fc.constantFrom<Json>("", "a", 0, 1, 18, 2.5, true, false))
    .map(([op, name, literal]) => ({ [op]: [literal, v(name)] })),
);
const orderOperator = fc.constantFrom("<", "<=", ">", ">=");
const order = fc.oneof(
  fc
    .tuple(
      orderOperator,
      fc.constantFrom("n1", "b1", "mixed"),
      fc.constantFrom<Json>(5, 18, -3, 2.5, 1, true),
      fc.boolean(),
    )
    .map(([op, name, limit, isMirrored]) => ({ [op]: isMirrored ? [limit, v(name)] : [v(name), limit] })),
  fc
    .tuple(orderOperator, fc.constantFrom("n1", "mixed"), fc.constantFrom(-3, 1, 5), fc.constantFrom(5, 18, 2.5))
    .map(([op, name, a, b]) => ({ [op]: [a, v(name), b] })),
  fc
    .tuple(orderOperator, fc.constantFrom(SECONDS - 1, SECONDS, SECONDS + 1, SECONDS - 0.5, SECONDS + 0.5))
    .map(([op, seconds]) => ({ [op]: [v("$flagd.timestamp"), seconds] })),
);
const membership = fc.oneof(
  fc
    .tuple(anyName, fc.array(fc.constantFrom<Json>("a", "sm", "lg", "x", 18, 2.5, true, null), { maxLength: 4 }))
    .map(([name, list]) => ({ in: [v(name), list] })),
  fc.tuple(fc.constantFrom("a", "ab", "@faas"), fc.constantFrom("s1", "l1", "nested.s3")).map(([needle, name]) => ({
    in: [needle, v(name)],
  })),
  fc.constantFrom(1, 18, true).map((needle) => ({ in: [needle, v("l2")] })),
);
const affix = fc
  .tuple(fc.constantFrom("starts_with", "ends_with"), anyName, fc.constantFrom<Json>("a", "ab", "m", "", "faas.com", 5))
  .map(([op, name, part]) => ({ [op]: [v(name), part] }));
const semVer = fc
  .tuple(fc.constantFrom("=", "!=", "<", "<=", ">", ">=", "^", "~", "?"), version)
  .map(([op, literal]) => ({ sem_ver: [v("version"), op, literal] }));
const truth = fc.constantFrom("s1", "n1", "b1", "l1", "mixed", "targetingKey").map(v);
const defaulted = fc
  .tuple(fc.constantFrom("s1", "s2"), fc.constantFrom("a", "sm"), fc.constantFrom("a", "lg"))
  .map(([name, fallback, literal]) => ({ "==": [{ var: [name, fallback] }, literal] }));
const flagKey = fc.constantFrom("f", "g").map((key) => ({ "==": [v("$flagd.flagKey"), key] }));
const literal = fc.constantFrom<Json>(true, false, 1, 0, "", "x", { "==": [1, "1"] }, { in: ["a", ["a"]] });

const reference = fc.constantFrom("isSmall", "isFaas").map((name) => ({ $ref: name }));
export const EVALUATORS = {
  isSmall: { "==": [{ var: "s1" }, "sm"] },
  isFaas: { ends_with: [{ var: "s2" }, "faas.com"] },
};

const entries = fc.array(
  fc.oneof(
    fc.tuple(fc.constantFrom<Json>("on", "off", "red", true, false, null), fc.constantFrom<Json>(0, 1, 25, 50, -3)),
    fc.tuple(fc.constantFrom<Json>("on", "off", "red")),
  ),
  { minLength: 1, maxLength: 5 },
);
const input = fc.constantFrom<Json | undefined>(
  undefined,
  undefined,
  v("id"),
  v("targetingKey"),
  "constant",
  { cat: ["salt-", v("hashable")] },
  { cat: [v("$flagd.flagKey"), v("hashable")] },
  { cat: ["a", "b"] },
);
const fractional = fc.tuple(input, entries).map(([first, list]) => ({
  fractional: first === undefined ? list : [first, ...list],
}));

const { condition, result } = fc.letrec<{ condition: Json; result: Json }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, depthIdentifier: "condition", withCrossShrink: true },
    { weight: 3, arbitrary: equality as fc.Arbitrary<Json> },
    { weight: 3, arbitrary: order as fc.Arbitrary<Json> },
    { weight: 3, arbitrary: membership as fc.Arbitrary<Json> },
    { weight: 2, arbitrary: affix as fc.Arbitrary<Json> },
    { weight: 2, arbitrary: semVer as fc.Arbitrary<Json> },
    { weight: 2, arbitrary: truth },
    { weight: 1, arbitrary: fc.oneof(defaulted, flagKey, literal, reference) as fc.Arbitrary<Json> },
    { weight: 3, arbitrary: list("and", tie("condition")) },
    { weight: 3, arbitrary: list("or", tie("condition")) },
    { weight: 2, arbitrary: tie("condition").map((c) => ({ "!": [c] })) },
    { weight: 1, arbitrary: tie("condition").map((c) => ({ "!!": c })) },
    { weight: 1, arbitrary: ifOf(tie("condition"), tie("condition")) },
    { weight: 1, arbitrary: tie("condition").map((c) => ({ "==": [{ "!!": [c] }, true] })) },
    {
      weight: 1,
      arbitrary: entries
        .map((list) => list.map(([, ...weight]) => [weight[0] === 25, ...weight] as Json))
        .map((list) => ({ fractional: list })),
    },
  ),
  result: fc.oneof(
    { maxDepth: 3, depthIdentifier: "result", withCrossShrink: true },
    { weight: 3, arbitrary: fc.constantFrom<Json>("on", "off", "red", true, false, null) },
    { weight: 2, arbitrary: fractional as fc.Arbitrary<Json> },
    { weight: 4, arbitrary: ifOf(tie("condition"), tie("result")) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(input, fc.array(fc.tuple(tie("result"), fc.constantFrom(0, 1, 25, 50)), { minLength: 1, maxLength: 3 }))
        .map(([first, list]) => ({ fractional: first === undefined ? list : [first, ...list] })),
    },
    { weight: 1, arbitrary: fc.oneof(affix, semVer, equality, membership) as fc.Arbitrary<Json> },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom("and", "or"), fc.oneof(affix, equality, membership), tie("result"))
        .map(([op, test, last]) => ({ [op]: [test as Json, last] })),
    },
  ),
}));

function list(operator: string, part: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  return fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => ({ [operator]: parts }));
}

function ifOf(test: fc.Arbitrary<Json>, branch: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  const chain = fc.array(fc.tuple(test, branch), { minLength: 1, maxLength: 3 });
  return fc
    .tuple(chain, fc.option(branch, { nil: undefined }))
    .map(([pairs, last]) => ({ if: last === undefined ? pairs.flat() : [...pairs.flat(), last] }));
}

/** The variants of a flag of each type, with the names that targetings give. */
const VARIANTS_OF: Readonly<Record<string, Json>> = {
  string: Object.fromEntries(VARIANTS.map((name) => [name, name.toUpperCase()])),
  boolean: Object.fromEntries(VARIANTS.map((name) => [name, name.length % 2 === 0])),
  number: Object.fromEntries(VARIANTS.map((name, index) => [name, index - 1.5])),
  object: Object.fromEntries(VARIANTS.map((name) => [name, { name, list: [1, null, { deep: true }] }])),
};

const metadata = fc.dictionary(
  fc.constantFrom("team", "version", "isOld", "id"),
  fc.constantFrom<Json>("web", "", 5, -0.5, true, false),
  { maxKeys: 3 },
);

/** A file of some flags of every type, on and off, with and without default variant, metadata and targeting. */
export function flagdFileOf(rules: fc.Arbitrary<Json>): fc.Arbitrary<FlagdFile> {
  const flag = fc.record(
    {
      state: fc.constantFrom("ENABLED", "ENABLED", "ENABLED", "ENABLED", "DISABLED"),
      variants: fc.constantFrom(...Object.keys(VARIANTS_OF)).map((type) => VARIANTS_OF[type] ?? {}),
      defaultVariant: fc.option(fc.constantFrom(...VARIANTS)),
      targeting: rules,
      metadata,
    },
    { requiredKeys: ["state", "variants"] },
  );
  const flags = fc.dictionary(fc.constantFrom("f", "g", "new-search", "f.2"), flag, { minKeys: 1, maxKeys: 3 });
  return fc
    .record({ flags, metadata }, { requiredKeys: ["flags"] })
    .map((file) => ({ $evaluators: EVALUATORS, ...file }) as FlagdFile);
}

/** A file as far as tests look into it. */
export interface FlagdFile {
  readonly flags: Readonly<
    Record<string, { readonly targeting?: Json; readonly variants: Readonly<Record<string, Json>> }>
  >;
}

/** A `targeting`. By the schema it is an object; one that is not, JavaScript ignores where it is falsy. */
export const targeting: fc.Arbitrary<Json> = fc.oneof(
  { weight: 1, arbitrary: result.filter((rules) => typeof rules === "object" && rules !== null) },
  { weight: 3, arbitrary: ifOf(condition, result) },
);

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** A context for it. */
export const context = fc
  .record({
    targetingKey: optional(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 12 })),
    s1: optional(text),
    s2: optional(text),
    n1: optional(fc.constantFrom(0, 1, 5, 17, 18, 19, 2.5, -3)),
    b1: optional(fc.boolean()),
    mixed: optional(fc.constantFrom<Json>(true, false, "", "a", 5, 18, 0.5)),
    l1: optional(fc.array(fc.constantFrom("a", "abc", "sm", "x@faas.com"), { maxLength: 3 })),
    l2: optional(fc.array(fc.constantFrom<Json>(1, 18, true, "a"), { maxLength: 3 })),
    version: optional(version),
    id: optional(fc.oneof(fc.string({ unit: "grapheme-ascii", maxLength: 12 }), fc.constantFrom<Json>(7, true))),
    hashable: fc.oneof(fc.stringMatching(/^[a-z0-9@.-]{1,12}$/), fc.constantFrom<Json>(7, -12)),
    nested: optional(fc.record({ s3: optional(text) })),
  })
  .map(({ targetingKey, id, ...rest }) => {
    const defined = { ...rest, id, targetingKey: id === undefined ? undefined : targetingKey };
    return JSON.parse(JSON.stringify(defined)) as Record<string, Json>;
  });
