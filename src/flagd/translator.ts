import type { JsonValue } from "@bufbuild/protobuf";
import type { Cases } from "./cases.js";
import type { Comparisons } from "./comparison.js";
import type { Findings } from "./findings.js";
import type { Formula } from "./formula.js";
import type { Place } from "./place.js";

/** What the translation of one operator needs of the others. */
export interface Translator {
  readonly flagKey: string;
  readonly findings: Findings;
  readonly comparisons: Comparisons;
  /** Refuses, and stands in for what cannot be translated. */
  refuse(place: Place, description: string): Cases;
  /** What a `$ref` stands for; anything else as it is. */
  resolve(expression: JsonValue, place: Place): readonly [JsonValue, Place];
  /** An expression as the terms that it can be, each with its condition. */
  cases(expression: JsonValue, place: Place): Cases;
  /** Whether an expression counts as true. */
  truth(expression: JsonValue, place: Place): Formula;
}
