import type { ComparedColumn } from "../report/section.js";
import type { Figure } from "./figure.js";

/** `same`: the difference is small, or no greater than the rounds' own. */
export type Verdict = "worse" | "same" | "better";

export type ComparisonRule = Pick<ComparedColumn, "better" | "least" | "tolerance">;

export interface Change {
  /** The median now as so many times the median then. Above 1 is more, whichever is better. */
  readonly times: number;
  readonly verdict: Verdict;
}

/**
 * Medians of two runs of the same code differ by this much although the rounds of each are closer: each process compiles its
 * code anew, and not always into the same.
 */
const defaultTolerance = 1.1;

/**
 * Compares a figure with one of an earlier run. It is worse if its median is worse by more than the tolerance and, beyond
 * that, its usual rounds do not meet those of the other: even the best now is worse than the worst then. So no single round
 * decides, and a figure that was noisy in either run is marked only where the difference is greater than the noise of both.
 */
export function compareFigure(now: Figure, then: Figure, by: ComparisonRule): Change {
  const { tolerance = defaultTolerance } = by;
  const least = by.least ?? 0;
  const current = atLeast(now, least);
  const earlier = atLeast(then, least);
  const times = timesOf(current.median, earlier.median);
  const rose = times > tolerance && current.low > earlier.high;
  const fell = times < 1 / tolerance && current.high < earlier.low;
  if (!rose && !fell) return { times, verdict: "same" };
  return { times, verdict: rose === (by.better === "lower") ? "worse" : "better" };
}

function atLeast({ median, low, high }: Figure, least: number): Figure {
  return { median: Math.max(median, least), low: Math.max(low, least), high: Math.max(high, least) };
}

function timesOf(now: number, then: number): number {
  return now === then ? 1 : now / then;
}
