import { describe, expect, test } from "vitest";
import type { Outcome } from "../../src/engine/index.js";
import { snapshotOf } from "../battery/items.js";
import { type Answer, expectedAnswer, readVectors } from "../battery/vectors.js";

function toAnswer(outcome: Outcome): Answer {
  const { flagKey: _flagKey, errorMessage: _errorMessage, ...answer } = outcome;
  return JSON.parse(JSON.stringify(answer));
}

describe.each(readVectors())("the engine answers $name", ({ file, cases }) => {
  const snapshot = snapshotOf(file);

  test("whose flags and segments are sound", () => {
    expect(snapshot.flags().flatMap((flag) => flag.problems)).toEqual([]);
    expect(file.segments.flatMap(({ key }) => snapshot.segmentProblems(key))).toEqual([]);
  });

  test.each(cases)("$flagKey for $context", (vector) => {
    const flag = snapshot.flag(vector.flagKey);
    if (flag === undefined) {
      expect(vector.errorCode).toBe("FLAG_NOT_FOUND");
      return;
    }
    const now = flag.usesNow ? Date.now() : Number.NaN;
    expect(toAnswer(flag.select(vector.context, now))).toEqual(expectedAnswer(vector));
  });
});
