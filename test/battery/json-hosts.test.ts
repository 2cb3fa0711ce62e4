import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonBulkWay, jsonWay, type Way } from "../vectors-runner/ask.js";
import { ofrepDifferences } from "./ofrep-differences.js";
import { ENVIRONMENT, openVectorServer, strictDifferences, type VectorServer } from "./vector-server.js";

/** Of how many cases one is asked by OFREP: as JSON all of them are, and only the words are others. */
const ONE_IN = 4;

describe("a server answers every case over HTTP/1.1 by", () => {
  let host: VectorServer;

  beforeAll(async () => {
    host = await openVectorServer();
  });

  afterAll(() => host[Symbol.asyncDispose]());

  test.each<[string, (name: string) => Way]>([
    ["Evaluate as JSON", (name) => jsonWay(name, host.post, ENVIRONMENT)],
    ["BulkEvaluate as JSON", (name) => jsonBulkWay(name, host.post, ENVIRONMENT)],
  ])("%s", async (name, open) => {
    expect(await strictDifferences(open(name))).toEqual([]);
  });

  test(`OFREP, one in ${ONE_IN}`, async () => {
    expect(await ofrepDifferences(host.server.address, ONE_IN)).toEqual([]);
  });
});
