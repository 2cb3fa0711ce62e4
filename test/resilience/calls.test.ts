import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, it } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { openRemote } from "../../src/client/index.js";
import { type BadServer, badServers, openBadServer } from "./bad-servers.js";

it.each([...badServers, "a refusal"] as const)(
  "a remote client that finds %s answers defaults, be they closed or open",
  async (kind) => {
    await using bad = await openBadServer(kind);
    await using remote = await openRemote({ address: bad.address, timeoutMs: 300 });
    for (const value of [true, false]) {
      expect(await remote.boolean("a", value)).toBe(value);
      expect(await remote.details("a", value)).toMatchObject({ value, reason: "ERROR", errorCode: "GENERAL" });
    }
  },
);

it.each<[BadServer, Code]>([
  ["nobody", Code.Unavailable],
  ["silence", Code.DeadlineExceeded],
  ["an old server", Code.Unimplemented],
  ["a refusal", Code.Unauthenticated],
  ["a limit", Code.ResourceExhausted],
])("a call by gRPC with a deadline that finds %s has a status of its own", async (kind, code) => {
  await using bad = await openBadServer(kind);
  const transport = createGrpcTransport({ baseUrl: `http://${bad.address}` });
  const client: Client<typeof EvaluationService> = createClient(EvaluationService, transport);
  const error = await client
    .evaluate({ flagKey: "a" }, { timeoutMs: kind === "silence" ? 300 : 10_000 })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code });
});
