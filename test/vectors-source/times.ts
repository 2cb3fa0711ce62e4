import { checkContexts, checkPlainRows, checkRows, type Row } from "./check-match.js";
import { Draft, match } from "./draft.js";
import type { Json, VectorFile } from "./vector-file.js";

/** 2026-01-01T00:00:00Z, in milliseconds. */
const NEW_YEAR = 1_767_225_600_000;

/** What a time can have at most. */
const MAX_LENGTH = 128;

/** A time in UTC of so many characters, whose fraction is filled up with a digit before an end. */
function filled(seconds: string, digit: string, end = "", length = MAX_LENGTH): string {
  return `${`${seconds}.`.padEnd(length - end.length - 1, digit)}${end}Z`;
}

/** Texts that are no time by RFC 3339, or name a day or an hour that does not exist. */
const invalid: readonly Json[] = [
  "",
  "yesterday",
  "2025",
  "2025-12-31",
  "2025-12-31T23:59:59",
  "2025-12-31T23:59Z",
  "20251231T235959Z",
  "2025-1-1T00:00:00Z",
  "25-12-31T00:00:00Z",
  "12025-12-31T00:00:00Z",
  "+2025-12-31T00:00:00Z",
  "-2025-12-31T00:00:00Z",
  "2025-W52-3T00:00:00Z",
  "2025-12-31T23:59:59.Z",
  "2025-12-31T23:59:59,5Z",
  "2025-12-31T24:00:00Z",
  "2025-12-31T23:60:00Z",
  "2025-12-31T23:59:61Z",
  "2025-12-31T23:59:59+24:00",
  "2025-12-31T23:59:59+01:60",
  "2025-12-31T23:59:59+0100",
  "2025-12-31T23:59:59+01",
  "2025-12-31T23:59:59 Z",
  " 2025-12-31T23:59:59Z",
  "2025-12-31T23:59:59Z\n",
  "2025-00-01T00:00:00Z",
  "2025-13-01T00:00:00Z",
  "2025-12-00T00:00:00Z",
  "2025-12-32T00:00:00Z",
  "2025-04-31T00:00:00Z",
  "2025-12-31_23:59:59Z",
  "2025-12-31  23:59:59Z",
  "2025-12-31T 23:59:59Z",
  filled("2025-12-31T23:59:59", "9", "", MAX_LENGTH + 1),
  filled("2025-12-31T23:59:59", "0", "", 10_000),
  "2025-02-29T00:00:00Z",
  "1900-02-29T00:00:00Z",
  "2024-02-30T00:00:00Z",
  // Milliseconds are a number, not a text.
  "1767225599999",
];

const before: readonly Json[] = [
  "2025-12-31T23:59:59Z",
  "2025-12-31T23:59:59.999Z",
  "2025-12-31T23:59:59.9Z",
  "2025-12-31T23:59:59.999500Z",
  "2025-12-31t23:59:59z",
  "2025-12-31 23:59:59Z",
  "2026-01-01 00:59:59.9999999+01:00",
  "2026-01-01T00:59:59+01:00",
  "2026-01-01T13:44:59+13:45",
  "2026-01-01T23:58:59+23:59",
  "2025-12-31T00:00:00-23:59",
  "2025-12-31T18:59:59-05:00",
  "2024-02-29T00:00:00Z",
  "2000-02-29T12:00:00Z",
  "1969-12-31T23:59:59Z",
  "0001-01-01T00:00:00Z",
  // Leap seconds, and others that are written so.
  "2016-12-31T23:59:60Z",
  "2025-12-31T12:34:60Z",
  "1990-12-31T15:59:60-08:00",
  NEW_YEAR - 1,
  NEW_YEAR - 0.5,
  0,
  -0,
  -1,
  -1e300,
];

const same: readonly Json[] = [
  "2026-01-01T00:00:00Z",
  "2026-01-01T00:00:00.000Z",
  "2026-01-01T00:00:00.000000000Z",
  "2026-01-01T00:00:00+00:00",
  "2026-01-01T00:00:00-00:00",
  "2026-01-01T01:00:00+01:00",
  "2025-12-31T14:30:00-09:30",
  "2026-01-01 00:00:00Z",
  "2025-12-31T23:59:60Z",
  filled("2026-01-01T00:00:00", "0"),
  NEW_YEAR,
];

const after: readonly Json[] = [
  "2026-01-01T00:00:00.001Z",
  "2026-01-01T00:00:01Z",
  "2025-12-31T23:30:00-01:00",
  "2026-02-28T00:00:00+14:00",
  "9999-12-31T23:59:59Z",
  NEW_YEAR + 0.5,
  NEW_YEAR + 1,
  1e300,
];

/** The moment that everything is compared with, in every way to write it. */
const moments: readonly Json[] = ["2026-01-01T00:00:00Z", NEW_YEAR, "2025-12-31T19:00:00.0-05:00"];

const compared: readonly Row[] = moments.flatMap((moment, index): Row[] => [
  { name: `before-${index}`, operator: "BEFORE", values: [moment], holds: before, fails: [...same, ...after] },
  { name: `after-${index}`, operator: "AFTER", values: [moment], holds: after, fails: [...same, ...before] },
]);

const rows: readonly Row[] = [
  { name: "before-invalid", operator: "BEFORE", values: ["9999-01-01T00:00:00Z"], holds: [0], fails: invalid },
  { name: "after-invalid", operator: "AFTER", values: ["0001-01-01T00:00:00Z"], holds: [0], fails: invalid },
  {
    name: "before-any",
    operator: "BEFORE",
    values: ["2020-01-01T00:00:00Z", NEW_YEAR],
    holds: ["2019-01-01T00:00:00Z", "2025-01-01T00:00:00Z", ["x", 1]],
    fails: ["2026-06-01T00:00:00Z", ["x", 1e15]],
  },
  {
    name: "after-any",
    operator: "AFTER",
    values: [NEW_YEAR, "2020-01-01T00:00:00Z"],
    holds: ["2026-06-01T00:00:00Z", "2025-01-01T00:00:00Z"],
    fails: ["2019-01-01T00:00:00Z"],
  },
  // A leap second lies between the seconds around it.
  {
    name: "leap-after",
    operator: "AFTER",
    values: ["2016-12-31T23:59:59Z"],
    holds: ["2016-12-31T23:59:60Z"],
    fails: ["2016-12-31T23:59:59Z"],
  },
  {
    name: "leap-before",
    operator: "BEFORE",
    values: ["2017-01-01T00:00:01Z"],
    holds: ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00"],
    fails: ["2017-01-01T00:00:01Z"],
  },
  {
    name: "leap-as-value",
    operator: "BEFORE",
    values: ["2016-12-31T23:59:60Z"],
    holds: ["2016-12-31T23:59:59Z"],
    fails: ["2017-01-01T00:00:01Z"],
  },
];

/** Moments in ascending order, each in all ways to write it. Every number here is a double, and meant exactly. */
const ascending: readonly (readonly Json[])[] = [
  ["1969-12-31T23:59:59Z", -1_000],
  ["1969-12-31T23:59:59.9995Z", -0.5],
  [filled("1969-12-31T23:59:59", "9")],
  [-5e-324],
  ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0000000000000Z", 0, -0],
  [5e-324],
  [filled("1970-01-01T00:00:00", "0", "1")],
  // The double is a little less.
  [1e-7],
  ["1970-01-01T00:00:00.0000000001Z"],
  // And here a little more.
  ["1970-01-01T00:00:00.0001Z"],
  [0.1],
  ["2025-12-31T23:59:59.9994999999999999999999Z"],
  ["2025-12-31T23:59:59.9995Z", "2026-01-01T00:59:59.99950000000000000+01:00", NEW_YEAR - 0.5],
  ["2025-12-31T23:59:59.9995000000000000000001Z"],
  ["2025-12-31T23:59:59.999999Z"],
  // The last number of milliseconds before the year, a 4,096th of one.
  ["2025-12-31T23:59:59.999999755859375Z", NEW_YEAR - 2 ** -12],
  ["2025-12-31T23:59:59.999999999Z"],
  ["2025-12-31T23:59:59.9999999999999Z"],
  [filled("2025-12-31T23:59:59", "9")],
  ["2026-01-01T00:00:00Z", "2025-12-31T23:59:60.0Z", "2026-01-01T01:00:00.0000000000000+01:00", NEW_YEAR],
  [filled("2026-01-01T00:00:00", "0", "1")],
  ["2026-01-01T00:00:00.0000000000001Z"],
  ["2026-01-01T00:00:00.000000244140625Z", NEW_YEAR + 2 ** -12],
  ["2026-01-01T00:00:00.000000244140626Z"],
];

/** Each of them against those around it, a moment's place in the list being its place in the order. */
const exact: readonly Row[] = ascending.flatMap((ways, index): Row[] => {
  // The last way to write it, which is a number if one is exact.
  const values = ways.slice(-1);
  const { below, above } = around(index);
  return [
    { name: `exact-before-${index}`, operator: "BEFORE", values, holds: below, fails: [...ways, ...above] },
    { name: `exact-after-${index}`, operator: "AFTER", values, holds: above, fails: [...ways, ...below] },
  ];
});

/** The same moments as texts against those that can be written as numbers too. */
const asText: readonly Row[] = ascending.flatMap(([text = null, ...others], index): Row[] => {
  if (others.length === 0) return [];
  const { below, above } = around(index);
  const same = [text, ...others];
  return [
    { name: `text-before-${index}`, operator: "BEFORE", values: [text], holds: below, fails: [...same, ...above] },
    { name: `text-after-${index}`, operator: "AFTER", values: [text], holds: above, fails: [...same, ...below] },
  ];
});

function around(index: number): { readonly below: readonly Json[]; readonly above: readonly Json[] } {
  return {
    below: ascending.slice(Math.max(0, index - 2), index).flat(),
    above: ascending.slice(index + 1, index + 3).flat(),
  };
}

/** Comparisons of times, and the time of the evaluation. */
export function times(): VectorFile {
  const draft = new Draft("ti", "Times: RFC 3339 and milliseconds; $now, whatever it is from 2020 to 2099.");
  checkPlainRows(draft, compared);
  checkPlainRows(draft, exact);
  checkPlainRows(draft, asText);
  checkRows(draft, rows);
  now(draft);
  return draft.finish();
}

/** `$now` is what the host says, in milliseconds, even where the context has an attribute of that name. */
function now(draft: Draft): void {
  const contexts = [{}, { $now: "1999-01-01T00:00:00Z" }, { $now: 9e15, a: 1 }, { $now: null }];
  const table: readonly (readonly [name: string, operator: string, values: readonly Json[], holds: boolean])[] = [
    ["after-2020", "AFTER", ["2020-01-01T00:00:00Z"], true],
    ["after-2020-ms", "AFTER", [1_577_836_800_000], true],
    ["before-2020", "BEFORE", ["2020-01-01T00:00:00Z"], false],
    ["before-2100", "BEFORE", ["2100-01-01T00:00:00Z"], true],
    ["after-2100", "AFTER", ["2100-01-01T00:00:00Z"], false],
    ["greater", "GREATER", [1_577_836_800_000], true],
    ["less", "LESS", [4_102_444_800_000], true],
    ["at-most-0", "LESS_OR_EQUAL", [0], false],
    ["exists", "EXISTS", [], true],
    ["text", "STARTS_WITH", [""], false],
    ["version", "SEMVER_GREATER", ["0.0.0"], false],
  ];
  for (const [name, operator, values, doesHold] of table) {
    const condition = match(operator, values, { attribute: "$now" });
    const [holds, fails] = doesHold ? [contexts, []] : [[], contexts];
    checkContexts(draft, `now-${name}`, condition, { holds, fails });
  }
}
