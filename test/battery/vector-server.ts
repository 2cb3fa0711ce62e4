import { expect } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import type { PostJson, Way } from "../vectors-runner/ask.js";
import { type Difference, differencesOf } from "../vectors-runner/differences.js";
import { expectedOf, expectedOfStrict } from "../vectors-runner/read-vectors.js";
import { vectorFiles } from "./vectors.js";

/** The environment that the vectors are in. */
export const ENVIRONMENT = "vectors";

/** A server that has taken over all that is sound, and has refused all else. */
export interface VectorServer extends AsyncDisposable {
  readonly server: TestServer;
  readonly post: PostJson;
}

export async function openVectorServer(): Promise<VectorServer> {
  const server = await openTestServer();
  await server.admin.createEnvironment({ environment: { name: ENVIRONMENT } });
  for (const { file, refused } of vectorFiles) {
    const expected = [...refused.flags, ...refused.segments].sort();
    const answer = await server.admin.import(
      (async function* () {
        yield { file, environment: ENVIRONMENT, skipInvalid: expected.length > 0 };
      })(),
    );
    expect([...new Set(answer.refused.map(({ key }) => key))].sort()).toEqual(expected);
  }
  return {
    server,
    post: (method, body) => server.json(`flagwire.v1.EvaluationService/${method}`, body),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What of all files, or of one in so many of their cases, is answered otherwise than a host must that takes over only what is sound. */
export function strictDifferences(way: Way, oneIn = 1): Promise<Difference[]> {
  return allDifferences(way, expectedOfStrict, oneIn);
}

/** What of all files is answered otherwise than a host must that meets what is malformed too. */
export function fullDifferences(way: Way): Promise<Difference[]> {
  return allDifferences(way, () => expectedOf);
}

async function allDifferences(way: Way, expectation: typeof expectedOfStrict, oneIn = 1): Promise<Difference[]> {
  const lists: Difference[][] = [];
  for (const vectors of vectorFiles) {
    const cases = vectors.cases.filter((_, index) => index % oneIn === 0);
    lists.push(await differencesOf(cases, way, expectation(vectors)));
  }
  return lists.flat();
}
