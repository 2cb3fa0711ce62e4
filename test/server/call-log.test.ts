import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, it, onTestFinished, vi } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";

async function open(level: string) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level, base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const store = await openMemoryStore();
  const server = await openServer({ store, listen: { host: "127.0.0.1", port: 0 }, log });
  if (server instanceof ListenProblem) throw new Error(server.message);
  onTestFinished(async () => {
    await server.stop(100);
    await store.close();
  });
  const baseUrl = `http://127.0.0.1:${server.address.port}`;
  return { lines, baseUrl, grpc: createClient(EvaluationService, createGrpcTransport({ baseUrl })) };
}

/** Asks by three protocols for a flag that does not exist. */
async function askInVain({ baseUrl, grpc }: Awaited<ReturnType<typeof open>>): Promise<void> {
  const context = { targetingKey: "secret-user" };
  const headers = { "x-request-id": "r1" };
  await expect(grpc.evaluate({ flagKey: "nope", context }, { headers })).rejects.toThrow("not_found");
  const init = { method: "POST", headers: { ...headers, "content-type": "application/json" } };
  const body = JSON.stringify({ flagKey: "nope", context });
  await fetch(`${baseUrl}/flagwire.v1.EvaluationService/Evaluate`, { ...init, body });
  await fetch(`${baseUrl}/ofrep/v1/evaluate/flags/nope`, { ...init, body: JSON.stringify({ context }) });
}

it("at the level debug, calls of every protocol are logged as they end, by their request ids, without what they asked for", async () => {
  const server = await open("debug");
  await askInVain(server);
  await vi.waitFor(() => expect(server.lines.filter(({ msg }) => msg === "a call ended")).toHaveLength(3));
  const ended = server.lines.filter(({ msg }) => msg === "a call ended");
  const evaluate = "flagwire.v1.EvaluationService/Evaluate";
  const common = { level: 20, code: "NOT_FOUND", requestId: "r1", durationMs: expect.any(Number) };
  expect(ended).toMatchObject([
    { ...common, method: evaluate, protocol: "grpc", reason: "FLAG_NOT_FOUND" },
    { ...common, method: evaluate, protocol: "connect", reason: "FLAG_NOT_FOUND" },
    { ...common, protocol: "ofrep" },
  ]);
  expect(JSON.stringify(server.lines)).not.toContain("secret-user");
});

it("at the level info, calls are not logged", async () => {
  const server = await open("info");
  await askInVain(server);
  expect(server.lines.filter(({ msg }) => msg === "a call ended")).toEqual([]);
});
