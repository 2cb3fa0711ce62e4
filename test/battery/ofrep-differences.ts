import { Agent, request } from "node:http";
import { json } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "@bufbuild/protobuf";
import { toFlatMetadata, toResolutionErrorCode } from "../../src/resolution/index.js";
import { inParallel } from "../vectors-runner/ask.js";
import { expectedOfStrict } from "../vectors-runner/read-vectors.js";
import type { Answer, VectorCase } from "../vectors-source/vector-file.js";
import { ENVIRONMENT } from "./vector-server.js";
import { vectorFiles } from "./vectors.js";

/** A case that OFREP answers otherwise than expected, in OFREP's terms. */
export interface OfrepDifference {
  readonly vector: VectorCase;
  readonly expected: JsonObject;
  readonly got: JsonObject | undefined;
}

/** What of all files, in one of so many cases, a server answers otherwise by OFREP. OFREP says less than an `Answer` does. */
export async function ofrepDifferences(address: string, oneIn: number): Promise<OfrepDifference[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  try {
    const lists: OfrepDifference[][] = [];
    for (const vectors of vectorFiles) {
      const cases = vectors.cases.filter((_, index) => index % oneIn === 0);
      const answers = await inParallel(cases, (vector) => ask(address, agent, vector));
      const expectedOf = expectedOfStrict(vectors);
      const all = cases.map((vector, index) => {
        return { vector, expected: toOfrep(vector, expectedOf(vector)), got: answers[index] };
      });
      lists.push(all.filter(({ got, expected }) => !isDeepStrictEqual(got, expected)));
    }
    return lists.flat();
  } finally {
    agent.destroy();
  }
}

/** Not by `fetch`, which costs several times as much. */
function ask(address: string, agent: Agent, { flagKey, context }: VectorCase): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const url = `http://${address}/ofrep/v1/evaluate/flags/${encodeURIComponent(flagKey)}`;
    const headers = { "flagwire-environment": ENVIRONMENT };
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      json(response).then((body) => {
        const { errorDetails: _free, ...rest } = body as JsonObject;
        resolve({ status: response.statusCode ?? 0, ...rest });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ context }));
  });
}

function toOfrep({ flagKey: key }: VectorCase, { reason, value, variant, errorCode, metadata }: Answer): JsonObject {
  if (errorCode !== undefined) {
    const status = errorCode === "FLAG_NOT_FOUND" ? 404 : 400;
    return { status, key, errorCode: toResolutionErrorCode(errorCode) };
  }
  const isOurs = reason === "KILLED" || reason === "PREREQUISITE_FAILED";
  const flat = { ...toFlatMetadata(metadata), ...(isOurs && { "flagwire.reason": reason }) };
  return {
    status: 200,
    key,
    ...(value !== undefined && { value: value as JsonObject }),
    reason: isOurs ? "DISABLED" : reason,
    ...(variant !== undefined && { variant }),
    ...(Object.keys(flat).length > 0 && { metadata: flat }),
  };
}
