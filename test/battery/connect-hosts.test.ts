import { Agent } from "node:http";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { evaluateWay, type Way } from "../vectors-runner/ask.js";
import { ENVIRONMENT, openVectorServer, strictDifferences, type VectorServer } from "./vector-server.js";

/**
 * Of how many cases one is asked. Requests and answers are the same bytes as over gRPC, which answers all of them; only how they
 * are framed is another.
 */
const ONE_IN = 4;

describe("a server answers over HTTP/1.1 by", () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let host: VectorServer;

  beforeAll(async () => {
    host = await openVectorServer();
  });

  afterAll(async () => {
    agent.destroy();
    await host[Symbol.asyncDispose]();
  });

  const options = () =>
    ({ httpVersion: "1.1", baseUrl: `http://${host.server.address}`, nodeOptions: { agent } }) as const;
  const evaluate = (name: string, transport: Transport) =>
    evaluateWay(name, createClient(EvaluationService, transport), ENVIRONMENT);

  test.each<[string, (name: string) => Way]>([
    ["Evaluate over Connect", (name) => evaluate(name, createConnectTransport(options()))],
    ["Evaluate over gRPC-Web", (name) => evaluate(name, createGrpcWebTransport(options()))],
  ])("%s", async (name, open) => {
    expect(await strictDifferences(open(name), ONE_IN)).toEqual([]);
  });
});
