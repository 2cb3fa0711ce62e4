import type { Measure } from "./measure.js";

/** A number without a spread, such as a percentile. */
export interface Single {
  readonly unit: Measure["unit"];
  readonly value: number;
}

export type Cell = string | Measure | Single;

/** One table. Every row has a cell for every column. */
export interface Section {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What a reader must know to read the numbers. */
  readonly notes: readonly string[];
}
