import { isDeepStrictEqual } from "node:util";
import type { Answer, Context, VectorCase } from "../vectors-source/vector-file.js";
import type { Got, Way } from "./ask.js";

/** A case that was answered otherwise than expected. */
export interface Difference {
  readonly way: string;
  readonly flagKey: string;
  readonly context: Context;
  readonly expected: Answer;
  readonly got: Got;
}

/** Asks all cases one way and compares the answers. */
export async function differencesOf(
  cases: readonly VectorCase[],
  way: Way,
  expectedOf: (vector: VectorCase) => Answer,
): Promise<Difference[]> {
  const answers = await way.ask(cases);
  const differences: Difference[] = [];
  for (const [index, vector] of cases.entries()) {
    const expected = expectedOf(vector);
    const got = answers[index] ?? { refusal: "no answer" };
    if (isDeepStrictEqual(got, expected)) continue;
    const { flagKey, context } = vector;
    differences.push({ way: way.name, flagKey, context, expected, got });
  }
  return differences;
}
