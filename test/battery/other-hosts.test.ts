import { Agent } from "node:http";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { openRemote } from "../../src/client/index.js";
import { evaluateWay, jsonWay, type Way } from "../vectors-runner/ask.js";
import { flagdProtocol } from "./flagd-protocol.js";
import { type ForeignProtocol, foreignDifferences } from "./foreign-protocol.js";
import { clientWay } from "./in-process.js";
import { ofrepProtocol } from "./ofrep-protocol.js";
import { ENVIRONMENT, openVectorServer, strictDifferences, type VectorServer } from "./vector-server.js";

/**
 * Of how many cases one is asked. All of them are answered over gRPC, and as JSON by BulkEvaluate: these frame the same messages
 * otherwise, or have other words for the same answers.
 */
const ONE_IN = 6;

describe(`a server answers one in ${ONE_IN} cases by`, () => {
  const closers: (() => Promise<void>)[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let host: VectorServer;

  beforeAll(async () => {
    host = await openVectorServer();
  });

  afterAll(async () => {
    agent.destroy();
    for (const close of closers) await close();
    await host[Symbol.asyncDispose]();
  });

  const options = () =>
    ({ httpVersion: "1.1", baseUrl: `http://${host.server.address}`, nodeOptions: { agent } }) as const;
  const evaluate = (name: string, transport: Transport) =>
    evaluateWay(name, createClient(EvaluationService, transport), ENVIRONMENT);

  test.each<[string, (name: string) => Way | Promise<Way>]>([
    ["Evaluate as JSON", (name) => jsonWay(name, host.post, ENVIRONMENT)],
    ["Evaluate over Connect", (name) => evaluate(name, createConnectTransport(options()))],
    ["Evaluate over gRPC-Web", (name) => evaluate(name, createGrpcWebTransport(options()))],
    [
      "a remote client",
      async (name) => {
        const { address } = host.server;
        const remote = await openRemote({ address, environment: ENVIRONMENT, timeoutMs: 15_000 });
        closers.push(() => remote.close());
        return clientWay(name, remote);
      },
    ],
  ])("%s", async (name, open) => {
    expect(await strictDifferences(await open(name), ONE_IN)).toEqual([]);
  });

  test.each<[string, (address: string) => ForeignProtocol]>([
    ["OFREP", (address) => ofrepProtocol(address, agent)],
    ["flagd.evaluation.v2", flagdProtocol],
  ])("%s", async (_name, open) => {
    expect(await foreignDifferences(open(host.server.address), ONE_IN)).toEqual([]);
  });
});
