import fc from "fast-check";
import { type Json, NOW_MS, targeting } from "./generate.js";
import { isObject } from "./uses.js";

// Everything that flagd's schema lets pass, for contexts of anything at all: where flagd coerces, where its implementations
// differ from each other and where our model differs from it.

const v = (name: string, fallback?: Json): Json => ({ var: fallback === undefined ? name : [name, fallback] });
const NAMES = ["s1", "n1", "b1", "mixed", "l1", "object", "object.inner", "nested.s3", "version", "id", "targetingKey"];
const name = fc.constantFrom(...NAMES);
const LITERALS: readonly Json[] = ["", "a", "ab", "18", " 5 ", "0", "true", 0, 1, -1, 5, 18, 2.5, true, false, null];
const literal = fc.constantFrom(...LITERALS);
const variable = fc.oneof(
  { weight: 6, arbitrary: name.map((path) => v(path)) },
  { weight: 1, arbitrary: fc.tuple(name, literal).map(([path, fallback]) => v(path, fallback)) },
);
const operand = fc.oneof({ weight: 4, arbitrary: variable }, { weight: 1, arbitrary: literal });

const comparison = fc
  .tuple(fc.constantFrom("==", "===", "!=", "!==", "<", "<=", ">", ">="), operand, literal, fc.boolean())
  .map(([operator, a, b, isMirrored]) => ({ [operator]: isMirrored ? [b, a] : [a, b] }) as Json);
const between = fc
  .tuple(fc.constantFrom("<", "<="), literal, variable, literal)
  .map(([operator, ...operands]) => ({ [operator]: operands }) as Json);
const lookup = fc.oneof(
  fc.tuple(variable, fc.array(literal, { maxLength: 4 })).map(([needle, list]) => ({ in: [needle, list] }) as Json),
  fc.tuple(literal, variable).map(([needle, haystack]) => ({ in: [needle, haystack] }) as Json),
);
const affix = fc
  .tuple(fc.constantFrom("starts_with", "ends_with"), operand, literal)
  .map(([operator, text, part]) => ({ [operator]: [text, part] }) as Json);
const VERSIONS = ["1.2.3", "v2", "2.0", "1.2.3-rc.1", "nonsense", 1, 1.2];
const semVer = fc
  .tuple(fc.constantFrom("=", "!=", "<", "<=", ">", ">=", "^", "~", "?"), variable, fc.constantFrom<Json>(...VERSIONS))
  .map(([operator, version, other]) => ({ sem_ver: [version, operator, other] }) as Json);
const unsupported = fc.oneof(
  fc.tuple(variable, variable).map((operands) => ({ "==": operands }) as Json),
  fc.tuple(variable, literal).map((operands) => ({ "+": operands }) as Json),
  variable.map((list) => ({ some: [list, { "==": [{ var: "" }, 1] }] }) as Json),
  fc.tuple(variable, variable).map((operands) => ({ cat: operands }) as Json),
  fc.constant<Json>({ missing: ["s1"] }),
  fc.constant<Json>({ $ref: "nobody" }),
);

const test = fc.letrec<{ test: Json }>((tie) => ({
  test: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    { weight: 6, arbitrary: comparison },
    { weight: 1, arbitrary: between },
    { weight: 3, arbitrary: lookup },
    { weight: 2, arbitrary: affix },
    { weight: 2, arbitrary: semVer },
    { weight: 2, arbitrary: variable },
    { weight: 1, arbitrary: fc.array(tie("test"), { minLength: 1, maxLength: 3 }).map((and) => ({ and }) as Json) },
    { weight: 1, arbitrary: fc.array(tie("test"), { minLength: 1, maxLength: 3 }).map((or) => ({ or }) as Json) },
    { weight: 1, arbitrary: tie("test").map((part) => ({ "!": part }) as Json) },
  ),
})).test;

const entry = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constantFrom<Json>("on", "off", "red", null), fc.constantFrom<Json>(1, 25, 50, 0, -1)),
  },
  { weight: 2, arbitrary: fc.constantFrom("on", "off").map((variant) => [variant] as Json) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Json>(["on", 1.5], ["on", "5"], [], "on", ["on", 1, 2], ["on", null], [true, 3]),
  },
);
const source = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Json | undefined>(undefined) },
  { weight: 3, arbitrary: variable },
  { weight: 1, arbitrary: literal },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom("", "salt-", " s"), name)
      .map(([salt, path]) => ({ cat: [salt, v(path)] }) as Json),
  },
);
const fractional = fc
  .tuple(source, fc.array(entry, { minLength: 1, maxLength: 4 }))
  .map(([first, entries]) => ({ fractional: first === undefined ? entries : [first, ...entries] }) as Json);

const result = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Json>("on", "off", "red", true, false, null) },
  { weight: 3, arbitrary: fractional },
  { weight: 1, arbitrary: test },
);
const chain = fc
  .tuple(fc.array(fc.tuple(test, result), { minLength: 1, maxLength: 2 }), fc.option(result, { nil: undefined }))
  .map(([pairs, last]) => ({ if: last === undefined ? pairs.flat() : [...pairs.flat(), last] }) as Json);

/** Whether a targeting begins with what no condition can express: a flag with it must be refused. */
export function isUntranslatable(rules: Json | undefined): boolean {
  const [first] = isObject(rules) && Array.isArray(rules.if) ? rules.if : [];
  if (!isObject(first)) return false;
  if (first.$ref === "nobody" || ["+", "some", "cat", "missing"].some((operator) => Object.hasOwn(first, operator))) {
    return true;
  }
  const equal = first["=="];
  return Array.isArray(equal) && equal.every((operand) => isObject(operand) && typeof operand.var === "string");
}

/** A `targeting` of anything that the schema knows; now and then with what cannot be translated. */
export const wideTargeting: fc.Arbitrary<Json> = fc.oneof(
  { weight: 8, arbitrary: chain },
  { weight: 3, arbitrary: fractional },
  { weight: 2, arbitrary: targeting },
  { weight: 1, arbitrary: fc.tuple(unsupported, result).map((parts) => ({ if: parts }) as Json) },
);

const something = fc.oneof(
  { weight: 3, arbitrary: literal },
  { weight: 1, arbitrary: fc.constantFrom<Json>("abc", "5", "18.0", "x@faas.com", -0.5, 1e21, 2 ** 53) },
  { weight: 1, arbitrary: fc.array(literal, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom<Json>({}, { inner: "a" }, { inner: 5 }, { s3: "ab" }) },
  { weight: 1, arbitrary: fc.constantFrom<Json>("1.2.3", "v2.0.0", "1", "2.0.0-rc.1", NOW_MS) },
);

/** Contexts of anything under the names that targetings ask for; many names missing. */
export const wideContext: fc.Arbitrary<Record<string, Json>> = fc
  .record(
    {
      ...Object.fromEntries(NAMES.filter((path) => !path.includes(".")).map((path) => [path, something])),
      nested: something,
      "nested.s3": something,
      s2: something,
      hashable: something,
      l2: something,
      targetingKey: fc.oneof(
        {
          weight: 4,
          arbitrary: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 8 }) as fc.Arbitrary<Json>,
        },
        { weight: 1, arbitrary: something },
      ),
    },
    { requiredKeys: [] },
  )
  .map((made) => JSON.parse(JSON.stringify(made)) as Record<string, Json>);
