import { describe, expect, test } from "vitest";
import { engineWay, snapshotOf } from "../battery/in-process.js";
import { vectorFiles } from "../battery/vectors.js";
import { differencesOf } from "../vectors-runner/differences.js";
import { expectedOf } from "../vectors-runner/read-vectors.js";

describe.each(vectorFiles)("the engine, of $name,", (vectors) => {
  const snapshot = snapshotOf([vectors]);

  test("finds malformed exactly what a server must refuse and asks for", async () => {
    const malformed = snapshot.flags().filter((flag) => flag.problems.length > 0);
    const refused = new Set(vectors.refused.flags);
    expect(malformed.map(({ key }) => key).filter((key) => !refused.has(key))).toEqual([]);
    const segments = vectors.file.segments.filter(({ key }) => snapshot.segmentProblems(key).length > 0);
    expect(segments.map(({ key }) => key).sort()).toEqual(vectors.refused.segments);
  });

  test("answers every case", async () => {
    expect(await differencesOf(vectors.cases, engineWay(snapshot), expectedOf)).toEqual([]);
  });
});
