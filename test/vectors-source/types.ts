import { checkMatch, MISSING, type Sample } from "./check-match.js";
import { Draft, match } from "./draft.js";
import type { Json, VectorFile } from "./vector-file.js";

/** An operator with values, what it holds for, what of the same type it does not hold for, and what it compares. */
interface Typed {
  readonly operator: string;
  readonly values: readonly Json[];
  readonly ignoreCase?: boolean;
  readonly holds: readonly [Json, ...Json[]];
  readonly fails: readonly [Json, ...Json[]];
  readonly compares: "text" | "numbers" | "literals" | "times";
}

const texts = ["IN", "CONTAINS", "STARTS_WITH", "ENDS_WITH", "MATCHES"] as const;
const pattern: Readonly<Record<string, Json>> = { MATCHES: "^Ab$" };

const table: readonly Typed[] = [
  ...texts.map((operator): Typed => {
    const values = [pattern[operator] ?? "Ab", "zz"];
    const compares = operator === "IN" ? "literals" : "text";
    return { operator, values, holds: ["Ab", "zz"], fails: ["ab", "AB", "b", ""], compares };
  }),
  ...texts.map((operator): Typed => {
    const values = [pattern[operator] ?? "Ab", "zz"];
    const compares = operator === "IN" ? "literals" : "text";
    return { operator, values, ignoreCase: true, holds: ["Ab", "ab", "AB", "Zz"], fails: ["b", "a b", ""], compares };
  }),
  { operator: "EQUAL", values: [7, -1], holds: [7, -1], fails: [0, 1, 7.5], compares: "numbers" },
  { operator: "LESS", values: [7, -1], holds: [6, 0, -1], fails: [7, 8], compares: "numbers" },
  { operator: "LESS_OR_EQUAL", values: [7, -1], holds: [7, 0], fails: [8, 7.5], compares: "numbers" },
  { operator: "GREATER", values: [7, 99], holds: [8, 100], fails: [7, 1, 0], compares: "numbers" },
  { operator: "GREATER_OR_EQUAL", values: [7, 99], holds: [7, 8], fails: [1, 6.5], compares: "numbers" },
  {
    operator: "BEFORE",
    values: ["2001-09-09T01:46:40Z", 5],
    holds: ["2001-09-09T01:46:39Z", 999_999_999_999, 0],
    fails: ["2001-09-09T01:46:40Z", 1_000_000_000_000],
    compares: "times",
  },
  {
    operator: "AFTER",
    values: [1_000_000_000_000, "2099-01-01T00:00:00Z"],
    holds: ["2001-09-09T01:46:41Z", 1_000_000_000_001],
    fails: ["2001-09-09T01:46:40Z", 0, 1],
    compares: "times",
  },
  { operator: "SEMVER_EQUAL", values: ["1.2.3", "9.0.0"], holds: ["1.2.3"], fails: ["1.2.4"], compares: "text" },
  { operator: "SEMVER_LESS", values: ["1.2.3", "0.1.0"], holds: ["1.2.2"], fails: ["1.2.3"], compares: "text" },
  {
    operator: "SEMVER_LESS_OR_EQUAL",
    values: ["1.2.3", "0.1.0"],
    holds: ["1.2.3", "1.2.2"],
    fails: ["1.2.4"],
    compares: "text",
  },
  { operator: "SEMVER_GREATER", values: ["1.2.3", "9.0.0"], holds: ["1.2.4"], fails: ["1.2.3"], compares: "text" },
  {
    operator: "SEMVER_GREATER_OR_EQUAL",
    values: ["1.2.3", "9.0.0"],
    holds: ["1.2.3", "1.2.4"],
    fails: ["1.2.2"],
    compares: "text",
  },
  {
    operator: "IN_CIDR",
    values: ["10.0.0.0/8", "2001:db8::/32"],
    holds: ["10.1.2.3", "2001:db8::1"],
    fails: ["11.0.0.0"],
    compares: "text",
  },
];

/** Of every type of attribute, what no row's values are equal to, follow or precede. */
const ofType: Readonly<Record<"text" | "numbers" | "booleans", readonly Json[]>> = {
  text: ["unlike", "7", "true", "null"],
  numbers: [-1, 0, 1, 7, 7.5, 1e300],
  booleans: [true, false],
};

/** The types that a row does not compare at all. */
const foreign: Readonly<Record<Typed["compares"], readonly Json[]>> = {
  text: [...ofType.numbers, ...ofType.booleans],
  numbers: [...ofType.text, ...ofType.booleans],
  literals: [...ofType.numbers, ...ofType.booleans],
  times: [...ofType.text, ...ofType.booleans],
};

/** Every operator with every type of attribute. */
export function types(): VectorFile {
  const draft = new Draft("ty", "Every operator with every type of attribute, in lists too, and negated.");
  for (const row of table) {
    const name = `${row.operator.toLowerCase()}${row.ignoreCase ? "-case" : ""}`;
    const condition = match(row.operator, row.values, { ignoreCase: row.ignoreCase ?? false });
    checkMatch(draft, name, condition, { holds: holding(row), fails: failing(row) });
  }
  exists(draft);
  mixedLiterals(draft);
  return draft.finish();
}

function holding({ holds, fails, compares }: Typed): Sample[] {
  const [one] = holds;
  return [
    ...holds,
    [one],
    [fails[0], one],
    [one, fails[0]],
    [null, one],
    [...foreign[compares], {}, [], one],
    [one, null, true, {}],
  ];
}

function failing({ holds, fails, compares }: Typed): Sample[] {
  const [one] = holds;
  return [
    MISSING,
    null,
    ...fails,
    ...foreign[compares],
    [],
    [null],
    [...fails],
    [...foreign[compares], null],
    // An element that is a list is no element that matches, nor is anything inside an object.
    [[one]],
    {},
    { a: one },
    [{ a: one }],
  ];
}

/** EXISTS compares nothing: whatever is there and is not null, a list as such. */
function exists(draft: Draft): void {
  const holds: Json[] = ["", "x", 0, -1.5, true, false, {}, { a: null }, [], [null], [[]], ["x"]];
  checkMatch(draft, "exists", match("EXISTS"), { holds, fails: [MISSING, null] });
}

/** IN takes values of all three types, and never mixes them up. */
function mixedLiterals(draft: Draft): void {
  const one = match("IN", ["1", 0, true, "false"]);
  checkMatch(draft, "in-mixed", one, {
    holds: ["1", 0, -0, true, "false", ["x", 0], [false, true]],
    fails: [1, "0", "true", false, "True", "", [], ["0", 1, false], ["01", 1.5], MISSING, null],
  });
  const folded = match("IN", ["YES", 1, false], { ignoreCase: true });
  checkMatch(draft, "in-mixed-case", folded, {
    holds: ["yes", "Yes", 1, false, [true, false]],
    fails: ["1", "FALSE", "false", true, 0, ["1", "no", true], MISSING, null],
  });
}
