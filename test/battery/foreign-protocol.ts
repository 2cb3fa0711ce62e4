import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "@bufbuild/protobuf";
import { inParallel } from "../vectors-runner/ask.js";
import { expectedOfStrict } from "../vectors-runner/read-vectors.js";
import type { Answer, VectorCase } from "../vectors-source/vector-file.js";
import { vectorFiles } from "./vectors.js";

/** A protocol of others, which says less than an `Answer` does, in its own terms. */
export interface ForeignProtocol {
  ask(vector: VectorCase): Promise<JsonObject>;
  /** What it has to answer where the engine answers so. */
  expected(vector: VectorCase, answer: Answer): JsonObject;
}

/** A case that is answered otherwise than expected. */
export interface ForeignDifference {
  readonly vector: VectorCase;
  readonly expected: JsonObject;
  readonly got: JsonObject | undefined;
}

/** What of all files, in one of so many of their cases, a server answers otherwise by a protocol of others. */
export async function foreignDifferences(protocol: ForeignProtocol, oneIn: number): Promise<ForeignDifference[]> {
  const lists: ForeignDifference[][] = [];
  for (const vectors of vectorFiles) {
    const cases = vectors.cases.filter((_, index) => index % oneIn === 0);
    const answers = await inParallel(cases, (vector) => protocol.ask(vector));
    const expectedOf = expectedOfStrict(vectors);
    const all = cases.map((vector, index) => {
      return { vector, expected: protocol.expected(vector, expectedOf(vector)), got: answers[index] };
    });
    lists.push(all.filter(({ got, expected }) => !isDeepStrictEqual(got, expected)));
  }
  return lists.flat();
}
