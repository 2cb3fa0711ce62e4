import { describe, expect, test } from "vitest";
import { compareFigure, type Verdict } from "../../bench/comparison/compare-figure.js";
import type { Figure } from "../../bench/comparison/figure.js";

const figure = (low: number, median: number, high: number): Figure => ({ median, low, high });
const lower = { better: "lower" } as const;
const higher = { better: "higher" } as const;

describe("a figure of which less is better", () => {
  test.each<[name: string, now: Figure, then: Figure, verdict: Verdict]>([
    ["is worse where its rounds are all above", figure(1.4, 1.5, 1.6), figure(0.9, 1, 1.1), "worse"],
    ["is better where its rounds are all below", figure(0.6, 0.65, 0.7), figure(0.9, 1, 1.1), "better"],
    [
      "is the same where its best round is as good as the worst then",
      figure(1.1, 1.5, 1.6),
      figure(0.9, 1, 1.1),
      "same",
    ],
    [
      "is the same where its worst round is as bad as the best then",
      figure(0.6, 0.65, 0.9),
      figure(0.9, 1, 1.1),
      "same",
    ],
    ["is the same up to a tenth, however quiet the rounds", figure(1.1, 1.1, 1.1), figure(1, 1, 1), "same"],
    ["is worse beyond a tenth, where the rounds are quiet", figure(1.11, 1.11, 1.11), figure(1, 1, 1), "worse"],
    ["is the same as itself", figure(2, 2, 2), figure(2, 2, 2), "same"],
  ])("%s", (_name, now, then, verdict) => {
    expect(compareFigure(now, then, lower).verdict).toBe(verdict);
  });

  test("is told as how many times the median then", () => {
    expect(compareFigure(figure(2, 3, 4), figure(1, 2, 3), lower).times).toBe(1.5);
  });
});

test("of a figure of which more is better, less is worse and more is better", () => {
  expect(compareFigure(figure(0.6, 0.65, 0.7), figure(0.9, 1, 1.1), higher).verdict).toBe("worse");
  expect(compareFigure(figure(1.4, 1.5, 1.6), figure(0.9, 1, 1.1), higher).verdict).toBe("better");
});

test("a figure may be given a tolerance of its own", () => {
  const disk = { better: "lower", tolerance: 1.5 } as const;
  expect(compareFigure(figure(1.5, 1.5, 1.5), figure(1, 1, 1), disk).verdict).toBe("same");
  expect(compareFigure(figure(1.6, 1.6, 1.6), figure(1, 1, 1), disk).verdict).toBe("worse");
});

describe("a figure that may be nothing", () => {
  const bytes = { better: "lower", least: 1 } as const;

  test("is the same where both are less than what counts", () => {
    expect(compareFigure(figure(0.7, 0.7, 0.7), figure(0, 0, 0), bytes)).toEqual({ times: 1, verdict: "same" });
    expect(compareFigure(figure(-0.2, -0.2, -0.1), figure(0.5, 0.5, 0.5), bytes)).toEqual({
      times: 1,
      verdict: "same",
    });
  });

  test("is worse where it was nothing and is something", () => {
    expect(compareFigure(figure(16, 16, 16), figure(0, 0, 0), bytes)).toEqual({ times: 16, verdict: "worse" });
  });

  test("is the same as nothing where nothing is its least", () => {
    expect(compareFigure(figure(0, 0, 0), figure(0, 0, 0), lower)).toEqual({ times: 1, verdict: "same" });
    expect(compareFigure(figure(1, 1, 1), figure(0, 0, 0), lower).verdict).toBe("worse");
  });
});
