import { expect, test } from "vitest";
import { type Comparison, compareRun, confirmed, worseOf } from "../../bench/comparison/compare-run.js";
import { figuresOf } from "../../bench/comparison/figure.js";
import { type SavedFigures, withRun } from "../../bench/comparison/figures-file.js";
import { type Measure, toMeasure } from "../../bench/report/measure.js";
import type { Section } from "../../bench/report/section.js";

const origin = {
  date: "2026-01-02T03:04:05Z",
  node: "v20.19.0",
  cpu: "a processor",
  command: "npm run bench",
  loadAverage: 0.5,
};
const nothing: SavedFigures = { sections: {} };
const ratio = (value: number): Measure => toMeasure("ratio", [value]);

/** A section of two rows beside a reference; `rows` are the ratios of the others. */
function section(rows: Readonly<Record<string, number>>): Section {
  return {
    name: "times",
    title: "Times",
    columns: ["what", "time"],
    rows: [["bare", ratio(1)], ...Object.entries(rows).map(([name, value]) => [name, ratio(value)] as const)],
    notes: [],
    compared: [{ column: "time", better: "lower" }],
    references: ["bare"],
  };
}

const savedOf = (...sections: Section[]): SavedFigures => withRun(nothing, sections.flatMap(figuresOf), origin);
const verdictsOf = ({ figures }: Comparison) => figures.map(({ row, change }) => [row, change?.verdict ?? "new"]);

test("a row is compared with its committed figure, and one without is new", () => {
  const comparison = compareRun([section({ one: 3, two: 1, three: 1 })], savedOf(section({ one: 2, two: 1 })));
  expect(verdictsOf(comparison)).toEqual([
    ["one", "worse"],
    ["two", "same"],
    ["three", "new"],
  ]);
  expect(worseOf(comparison).map(({ row }) => row)).toEqual(["one"]);
});

test("everything is new where nothing is committed", () => {
  const comparison = compareRun([section({ one: 3 })], nothing);
  expect(verdictsOf(comparison)).toEqual([["one", "new"]]);
  expect(comparison).toMatchObject({ since: {}, gone: [] });
});

test("a committed row that the run does not have is gone", () => {
  const { gone } = compareRun([section({ two: 1 })], savedOf(section({ one: 2, two: 1 })));
  expect(gone).toEqual([{ section: "times", row: "one", column: "time" }]);
});

test("sections that did not run are not gone", () => {
  expect(compareRun([], savedOf(section({ one: 2 }))).gone).toEqual([]);
});

test("the comparison tells what made the committed figures", () => {
  expect(compareRun([section({ one: 1 })], savedOf(section({ one: 1 }))).since).toEqual({ times: origin });
});

test("a column may be divided by the row that it is compared over", () => {
  const divided: Section = {
    ...section({ one: 6 }),
    rows: [
      ["bare", toMeasure("microseconds", [2, 3, 4])],
      ["one", toMeasure("microseconds", [6, 9, 16])],
    ],
    compared: [{ column: "time", better: "lower", over: "bare" }],
  };
  expect(figuresOf(divided)).toMatchObject([{ row: "one", unit: "ratio", figure: { median: 3, low: 1.5, high: 8 } }]);
});

test("texts are not compared", () => {
  const withText = section({ one: 1 });
  expect(figuresOf({ ...withText, rows: [...withText.rows, ["two", "unknown"]] }).map(({ row }) => row)).toEqual([
    "one",
  ]);
});

test("a column or reference that a section does not have is an error", () => {
  const one = section({ one: 1 });
  expect(() => figuresOf({ ...one, compared: [{ column: "size", better: "lower" }] })).toThrow("no column size");
  const over = { column: "time", better: "lower", over: "two" } as const;
  expect(() => figuresOf({ ...one, compared: [over] })).toThrow("no measures in row two");
});

test("the least and the greatest of many rounds do not count", () => {
  const rounds = toMeasure("ratio", [1, 50, 1.1, 1.1, 0.01, 1.1, 1.1, 1.2]);
  const measured: Section = { ...section({}), rows: [["one", rounds]] };
  expect(figuresOf(measured)).toMatchObject([{ figure: { median: 1.1, low: 1, high: 1.2 } }]);
  expect(rounds).toMatchObject({ low: 0.01, high: 50 });
});

test("all of few rounds count", () => {
  const measured: Section = { ...section({}), rows: [["one", toMeasure("ratio", [1, 5, 2, 2, 2, 2, 2])]] };
  expect(figuresOf(measured)).toMatchObject([{ figure: { low: 1, high: 5 } }]);
});

test("what is worse once, but not when it is measured again, is not worse", () => {
  const saved = savedOf(section({ one: 1, two: 1, three: 1 }));
  const first = compareRun([section({ one: 2, two: 2, three: 1 })], saved);
  const second = compareRun([section({ one: 2, two: 1, three: 2 })], saved);
  expect(verdictsOf(confirmed(first, second))).toEqual([
    ["one", "worse"],
    ["two", "same"],
    ["three", "same"],
  ]);
});
