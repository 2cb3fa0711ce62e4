import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonBulkWay, jsonWay, type Way } from "../vectors-runner/ask.js";
import { ENVIRONMENT, openVectorServer, strictDifferences, type VectorServer } from "./vector-server.js";

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
});
