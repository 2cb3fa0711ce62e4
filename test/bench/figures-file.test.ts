import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PlacedFigure } from "../../bench/comparison/figure.js";
import {
  parseFigures,
  readFigures,
  type SavedFigures,
  saveFigures,
  stringifyFigures,
  withRun,
} from "../../bench/comparison/figures-file.js";

const origin = {
  date: "2026-01-02T03:04:05Z",
  node: "v20.19.0",
  cpu: "a processor",
  command: "npm run bench",
  loadAverage: 0.5,
};
const nothing: SavedFigures = { sections: {} };
const figure = { median: 1.5, low: 1, high: 2 };

function placed(section: string, row: string, median = 1.5): PlacedFigure {
  const by = { column: "time", better: "lower" } as const;
  return { section, row, column: "time", unit: "ratio", figure: { ...figure, median }, by };
}

let file: URL;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flagwire-figures-"));
  file = pathToFileURL(join(directory, "figures.json"));
});

afterEach(() => rm(directory, { recursive: true }));

test("figures that were saved are read again", async () => {
  const saved = withRun(nothing, [placed("times", "one"), placed("sizes", "two")], origin);
  await saveFigures(file, saved);
  expect(await readFigures(file)).toEqual(saved);
});

test("a file that is not there has no figures", async () => {
  expect(await readFigures(file)).toEqual(nothing);
});

test("a run replaces its sections as a whole and keeps the others", () => {
  const before = withRun(nothing, [placed("times", "one"), placed("times", "two"), placed("sizes", "one")], origin);
  const later = { ...origin, date: "2026-02-03T04:05:06Z" };
  expect(withRun(before, [placed("times", "one", 3)], later).sections).toEqual({
    times: { ...later, figures: { one: { time: { ...figure, median: 3 } } } },
    sizes: before.sections.sizes,
  });
});

test("figures keep four digits", () => {
  const [saved] = Object.values(withRun(nothing, [placed("times", "one", 1.234567)], origin).sections);
  expect(saved?.figures.one?.time?.median).toBe(1.235);
});

test("a figure is one line", () => {
  const lines = stringifyFigures(withRun(nothing, [placed("times", "one")], origin)).split("\n");
  expect(lines).toContain('          "time": { "median": 1.5, "low": 1, "high": 2 }');
});

test.each([
  ["{}", "sections: not an object"],
  ['{"sections":{"times":[]}}', "times: not an object"],
  ['{"sections":{"times":{"date":"2026"}}}', "times: node is not a text"],
  [JSON.stringify({ sections: { times: { ...origin, loadAverage: "1" } } }), "times: loadAverage is not a number"],
  [
    JSON.stringify({ sections: { times: { ...origin, figures: { one: { time: { median: 1 } } } } } }),
    "times, one, time: median, low and high are not all numbers",
  ],
])("a file of another kind is refused: %s", async (text, message) => {
  expect(() => parseFigures(text)).toThrow(message);
  await writeFile(file, text);
  await expect(readFigures(file)).rejects.toThrow(message);
});
