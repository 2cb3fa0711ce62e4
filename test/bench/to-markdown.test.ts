import { expect, test } from "vitest";
import { type Comparison, compareRun } from "../../bench/comparison/compare-run.js";
import { figuresOf } from "../../bench/comparison/figure.js";
import { withRun } from "../../bench/comparison/figures-file.js";
import { toMeasure } from "../../bench/report/measure.js";
import type { Section } from "../../bench/report/section.js";
import { type Report, toMarkdown } from "../../bench/report/to-markdown.js";

const machine = {
  cpu: "a processor",
  cores: 4,
  memoryBytes: 2 ** 34,
  system: "a system",
  node: "v20.19.0",
  fileSystem: "ext4",
  date: "2026-02-03T04:05:06Z",
  loadAverage: 0,
};
const origin = {
  date: "2026-01-02T03:04:05Z",
  node: "v20.19.0",
  cpu: "a processor",
  command: "npm run bench",
  loadAverage: 0.5,
};

function section(rows: Readonly<Record<string, number>>): Section {
  return {
    name: "times",
    title: "Times",
    columns: ["what", "time"],
    rows: Object.entries(rows).map(([name, value]) => [name, toMeasure("ratio", [value])]),
    notes: [],
    compared: [{ column: "time", better: "lower" }],
    references: ["bare"],
  };
}

function reportOf(now: Section, comparison?: Comparison): Report {
  const report = { command: "npm run bench", machine, durationMs: 1_000, sections: [now] };
  return comparison === undefined ? report : { ...report, comparison };
}

const saved = withRun({ sections: {} }, figuresOf(section({ one: 2, two: 2, three: 2, four: 1 })), origin);
const now = section({ bare: 1, one: 3, two: 1, three: 2.1, five: 1 });
const lines = toMarkdown(reportOf(now, compareRun([now], saved))).split("\n");

test("every row says how it compares with the last committed figures, and marks what is worse", () => {
  expect(lines.filter((line) => line.startsWith("| ")).slice(0, 7)).toEqual([
    "| what | time | since the last figures |",
    "| --- | ---: | ---: |",
    "| bare | 1.00× |  |",
    "| one | 3.00× | **1.50×, worse** |",
    "| two | 1.00× | **0.50×, better** |",
    "| three | 2.10× | 1.05× |",
    "| five | 1.00× | new |",
  ]);
});

test("what changed is listed, with what made the committed figures", () => {
  expect(lines).toContain("| times | one | time | 2.00× | 3.00× | **1.50×, worse** |");
  expect(lines).toContain("- 1 worse, 1 better, 1 within the spread; 1 that are not in `bench/figures.json` yet.");
  expect(lines).toContain("- No longer measured: times, four, time.");
  expect(lines).toContain(
    "- The committed figures of times were made on 2026-01-02 by `npm run bench`, with Node v20.19.0 on a processor, load average 0.50.",
  );
});

test("a report without a comparison has the tables alone", () => {
  const text = toMarkdown(reportOf(now));
  expect(text).toContain("| what | time |\n");
  expect(text).not.toContain("last");
});
