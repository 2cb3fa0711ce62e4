import { checkRows, type Row } from "./check-match.js";
import { Draft } from "./draft.js";
import type { VectorFile } from "./vector-file.js";

const MAX_SAFE = 9_007_199_254_740_991;
const HUGE = 1e308;
/** The smallest number above 0. */
const TINY = 5e-324;

const rows: readonly Row[] = [
  // 1.0 is 1; 0 and -0 are equal.
  { name: "equal", operator: "EQUAL", values: [1, 2.5], holds: [1, 1.0, 2.5, [0, 1]], fails: [0, -1, 1.5, 2, 25] },
  { name: "equal-zero", operator: "EQUAL", values: [0], holds: [0, -0], fails: [TINY, -TINY, 1e-300] },
  { name: "equal-minus-zero", operator: "EQUAL", values: [-0], holds: [0, -0], fails: [TINY, -TINY] },
  // Doubles: 0.1 + 0.2 is not 0.3.
  {
    name: "equal-fraction",
    operator: "EQUAL",
    values: [0.3],
    holds: [0.3, 3e-1],
    fails: [0.30000000000000004, 0.1, 0.29999999999999993],
  },
  {
    name: "equal-big",
    operator: "EQUAL",
    values: [MAX_SAFE, HUGE],
    holds: [MAX_SAFE, HUGE],
    fails: [MAX_SAFE - 1, MAX_SAFE + 1, -MAX_SAFE, 1.0000000000000002e308, -HUGE],
  },
  { name: "in-numbers", operator: "IN", values: [0, 1e21, -2.5], holds: [0, -0, 1e21, -2.5], fails: [1, 1e20, 2.5] },
  { name: "less", operator: "LESS", values: [-1.5], holds: [-2, -1.6, -HUGE], fails: [-1.5, -1, 0, HUGE] },
  { name: "less-zero", operator: "LESS", values: [0], holds: [-TINY, -1, -HUGE], fails: [0, -0, TINY] },
  { name: "less-extremes", operator: "LESS", values: [HUGE], holds: [-HUGE, 0, 9e307], fails: [HUGE, 1.7e308] },
  { name: "less-any", operator: "LESS", values: [10, 20], holds: [9, 10, 19.9], fails: [20, 21] },
  { name: "at-most", operator: "LESS_OR_EQUAL", values: [0], holds: [0, -0, -TINY], fails: [TINY, 1] },
  { name: "at-most-any", operator: "LESS_OR_EQUAL", values: [20, 10], holds: [10, 20], fails: [20.5] },
  { name: "greater", operator: "GREATER", values: [0], holds: [TINY, 1, HUGE], fails: [0, -0, -TINY] },
  {
    name: "greater-extremes",
    operator: "GREATER",
    values: [-HUGE],
    holds: [HUGE, 0, -9e307],
    fails: [-HUGE, -1.7e308],
  },
  { name: "greater-any", operator: "GREATER", values: [10, 20], holds: [11, 10.5], fails: [10, 9] },
  {
    name: "at-least",
    operator: "GREATER_OR_EQUAL",
    values: [MAX_SAFE],
    holds: [MAX_SAFE, MAX_SAFE + 1, HUGE],
    fails: [MAX_SAFE - 1, 0],
  },
  { name: "at-least-any", operator: "GREATER_OR_EQUAL", values: [2, 1], holds: [1, 1.5, 2], fails: [0.999] },
  // Any element may be the one that matches.
  {
    name: "list",
    operator: "GREATER",
    values: [5],
    holds: [
      [1, 6],
      [6, 1, 1],
    ],
    fails: [[1, 5], [[6]], []],
  },
];

/** Comparisons of numbers. */
export function numbers(): VectorFile {
  const draft = new Draft("nu", "Numbers: equality and order of IEEE 754 doubles.");
  checkRows(draft, rows);
  return draft.finish();
}
