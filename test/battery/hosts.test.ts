import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { openMirror } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { Publisher } from "../support/publisher.js";
import { bulkWay, evaluateWay, jsonBulkWay, type Way } from "../vectors-runner/ask.js";
import { clientWay, engineWay, itemsOf, snapshotOf } from "./in-process.js";
import {
  ENVIRONMENT,
  fullDifferences,
  openVectorServer,
  strictDifferences,
  type VectorServer,
} from "./vector-server.js";
import { vectorFiles } from "./vectors.js";

test("there is something to answer, and something to refuse", () => {
  expect(vectorFiles.flatMap(({ cases }) => cases).length).toBeGreaterThan(1_000);
  expect(vectorFiles.flatMap(({ refused }) => refused.flags).length).toBeGreaterThan(100);
});

describe("a server answers every case by", () => {
  const closers: (() => Promise<void>)[] = [];
  let host: VectorServer;

  beforeAll(async () => {
    host = await openVectorServer();
  });

  afterAll(async () => {
    for (const close of closers) await close();
    await host[Symbol.asyncDispose]();
  });

  test.each<[string, (name: string) => Way | Promise<Way>]>([
    ["Evaluate over gRPC", (name) => evaluateWay(name, host.server.evaluation, ENVIRONMENT)],
    ["BulkEvaluate over gRPC", (name) => bulkWay(name, host.server.evaluation, ENVIRONMENT)],
    ["BulkEvaluate as JSON", (name) => jsonBulkWay(name, host.post, ENVIRONMENT)],
    [
      "a mirror",
      async (name) => {
        const mirror = await openMirror({ address: host.server.address, environment: ENVIRONMENT });
        closers.push(() => mirror.close());
        return clientWay(name, mirror);
      },
    ],
  ])("%s", async (name, open) => {
    expect(await strictDifferences(await open(name))).toEqual([]);
  });
});

describe("a host that meets what is malformed answers every case as", () => {
  test("the engine", async () => {
    expect(await fullDifferences(engineWay(snapshotOf(vectorFiles)))).toEqual([]);
  });

  test("a mirror of a newer server", async () => {
    const hub = createWatchHub({ clock: systemClock, random: systemRandom });
    const publisher = new Publisher(hub, itemsOf(vectorFiles), 1, ENVIRONMENT);
    const mirror = await openMirror({ transport: new HubTransport(hub), environment: ENVIRONMENT });
    try {
      expect(mirror.revision).toBe(publisher.revision);
      expect(await fullDifferences(clientWay("a mirror", mirror))).toEqual([]);
    } finally {
      await mirror.close();
    }
  });
});
