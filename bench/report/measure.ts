/** What a number counts, and how it is written. */
export type Unit =
  | "per-second"
  | "nanoseconds"
  | "microseconds"
  | "milliseconds"
  | "bytes"
  | "ratio"
  | "percent"
  | "count";

/** A figure with its spread. */
export interface Measure {
  readonly unit: Unit;
  /** The median of the rounds. */
  readonly median: number;
  /** The least and the greatest of the rounds. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
  /** The range of the rounds without what is exceptional; see `toUsual`. Absent: from `low` to `high`. */
  readonly usual?: Range;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The median of some rounds with its spread. Throws for no rounds. */
export function toMeasure(unit: Unit, rounds: readonly number[]): Measure {
  return {
    unit,
    median: quantile(rounds, 0.5),
    low: Math.min(...rounds),
    high: Math.max(...rounds),
    rounds: rounds.length,
    usual: toUsual(rounds),
  };
}

/** How many times `rounds` are `references`, taken round by round, so that what disturbed both cancels out. */
export function toRatio(rounds: readonly number[], references: readonly number[]): Measure {
  return toMeasure("ratio", dividedBy(rounds, references));
}

/** Each of the rounds by its reference. */
export function dividedBy(rounds: readonly number[], references: readonly number[]): number[] {
  return rounds.map((value, index) => value / (references[index] ?? Number.NaN));
}

/** The value below which the share `q` of the values lies, without interpolation. Throws for no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  if (value === undefined) throw new Error("there are no values to take a quantile of");
  return value;
}

/**
 * The range of the rounds; of eight or more, without the least and the greatest, so that one hiccup does not widen it. A
 * wide range hides a slow-down for as long as the figure is compared with.
 */
function toUsual(rounds: readonly number[]): Range {
  const sorted = [...rounds].sort((a, b) => a - b);
  const [low = Number.NaN, ...rest] = sorted.length < 8 ? sorted : sorted.slice(1, -1);
  return { low, high: rest.at(-1) ?? low };
}
