import type { Measure } from "./measure.js";

/** A number without a spread, such as a percentile. */
export interface Single {
  readonly unit: Measure["unit"];
  readonly value: number;
}

export type Cell = string | Measure | Single;

/** One table. Every row has a cell for every column, and a name of its own in the first. */
export interface Section {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What a reader must know to read the numbers. */
  readonly notes: readonly string[];
  /** The columns that are compared with the last committed figures. Default none. */
  readonly compared?: readonly ComparedColumn[];
  /** The rows that are measured to compare others with, and are not compared themselves. Default none. */
  readonly references?: readonly string[];
}

/** A column whose figures mean the same on any machine: ratios to something of the same run, or bytes. */
export interface ComparedColumn {
  readonly column: string;
  readonly better: "lower" | "higher";
  /** The row that its measures are divided by. Default: they are compared as they are. */
  readonly over?: string;
  /** What is below this counts as this: differences that are nothing. Positive where a figure may be 0 or less. */
  readonly least?: number;
  /** Up to so many times more or less counts as the same. Default 1.1; more where the machine has a greater part in it. */
  readonly tolerance?: number;
}
