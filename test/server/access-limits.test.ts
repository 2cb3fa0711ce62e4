import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { CallerMeter } from "../../src/server/access/caller-limits.js";
import { isRefusal } from "../../src/server/refusal.js";
import { openTestServer, type TestServer, type TestServerOptions } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { anybody } from "./open-gate.js";

const servers: TestServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

/** A server with one token, for which only the limits given hold. */
async function start(callers: NonNullable<TestServerOptions["callers"]>) {
  const server = await openTestServer({ callers });
  servers.push(server);
  const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const headers = { authorization: `Bearer ${bearer}` };
  const sessionManager = new Http2SessionManager(`http://${server.address}`);
  onTestFinished(() => sessionManager.abort());
  const transport = createGrpcTransport({ baseUrl: `http://${server.address}`, sessionManager });
  return { server, headers, evaluation: createClient(EvaluationService, transport) };
}

const errorOf = (call: Promise<unknown>): Promise<ConnectError | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );

describe("calls with one token", () => {
  test("beyond so many a second are RESOURCE_EXHAUSTED, with the time to try again", async () => {
    const { evaluation, headers } = await start({ callsPerSecond: 0.01 });
    expect(await errorOf(evaluation.bulkEvaluate({}, { headers }))).toBeUndefined();
    const refused = await errorOf(evaluation.bulkEvaluate({}, { headers }));
    expect(refused?.code).toBe(Code.ResourceExhausted);
    const [retry] = refused?.findDetails(RetryInfoSchema) ?? [];
    expect(Number(retry?.retryDelay?.seconds)).toBeGreaterThan(60);
  });

  test.each([
    ["Connect", "flagwire.v1.EvaluationService/BulkEvaluate"],
    ["OFREP", "ofrep/v1/evaluate/flags"],
  ])("are 429 over %s, with Retry-After", async (_name, path) => {
    const { server, headers } = await start({ callsPerSecond: 0.01 });
    const call = () =>
      fetch(`http://${server.address}/${path}`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: "{}",
      });
    expect((await call()).status).toBe(200);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(60);
  });

  test("count once, although a handler may be asked after a direct one", async () => {
    const { evaluation, headers } = await start({ callsPerSecond: 2 });
    for (let call = 0; call < 2; call++) {
      // A direct handler takes no question that asks for an explanation.
      const error = await errorOf(evaluation.evaluate({ flagKey: "none", explain: true }, { headers }));
      expect(error?.code).toBe(Code.NotFound);
    }
  });

  test("do not count against other tokens, and come back with time", async () => {
    const clock = new VirtualClock();
    const meter = new CallerMeter({ callsPerSecond: 1, streams: 0 }, clock);
    const [a, b] = ["a", "b"].map((tokenId) => ({ ...anybody, tokenId }));
    if (a === undefined || b === undefined) throw new Error("there are two");
    expect([a, a, b, b].map((one) => meter.refuseCall(one)?.reason)).toEqual([
      undefined,
      "CALL_RATE_EXCEEDED",
      undefined,
      "CALL_RATE_EXCEEDED",
    ]);
    await clock.advance(1_000);
    expect(meter.refuseCall(a)).toBeUndefined();
  });

  test("without one are not limited", () => {
    const meter = new CallerMeter({ callsPerSecond: 1, streams: 1 }, new VirtualClock());
    for (let call = 0; call < 3; call++) {
      expect(meter.refuseCall(anybody)).toBeUndefined();
      expect(isRefusal(meter.openStream(anybody))).toBe(false);
    }
  });
});

describe("streams with one token", () => {
  test("are limited at a time, and free when they end", async () => {
    const { server, evaluation, headers } = await start({ streams: 1 });
    const open = (signal: AbortSignal) => evaluation.watch({}, { headers, signal })[Symbol.asyncIterator]().next();
    const first = new AbortController();
    expect((await open(first.signal)).done).toBe(false);
    expect((await errorOf(open(new AbortController().signal)))?.code).toBe(Code.ResourceExhausted);
    const events = await fetch(`http://${server.address}/ofrep/v1/sse`, { headers });
    expect(events.status).toBe(429);
    first.abort();
    const next = new AbortController();
    onTestFinished(() => next.abort());
    await vi.waitFor(async () => expect((await open(next.signal)).done).toBe(false));
  });

  test("are OFREP's too, also with a ticket, and free when their clients leave", async () => {
    const { server, headers } = await start({ streams: 1 });
    const all = await fetch(`http://${server.address}/ofrep/v1/evaluate/flags`, { method: "POST", headers });
    const { eventStreams } = (await all.json()) as { eventStreams: [{ endpoint: { requestUri: string } }] };
    const { requestUri } = eventStreams[0].endpoint;
    const client = new AbortController();
    const open = (signal: AbortSignal) => fetch(`http://${server.address}${requestUri}`, { signal });
    expect((await open(client.signal)).status).toBe(200);
    const refused = await fetch(`http://${server.address}/ofrep/v1/sse`, { headers });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
    client.abort();
    const next = new AbortController();
    onTestFinished(() => next.abort());
    await vi.waitFor(async () => expect((await open(next.signal)).status).toBe(200));
  });

  test.each(["grpc", "connect"] as const)("are imports and exports too, by %s", async (protocol) => {
    const { server, evaluation, headers } = await start({ streams: 1 });
    const baseUrl = `http://${server.address}`;
    const transport =
      protocol === "grpc" ? createGrpcTransport({ baseUrl }) : createConnectTransport({ baseUrl, httpVersion: "1.1" });
    const admin = createClient(AdminService, transport);
    const watch = (signal: AbortSignal) => evaluation.watch({}, { headers, signal })[Symbol.asyncIterator]().next();
    const first = new AbortController();
    onTestFinished(() => first.abort());
    expect((await watch(first.signal)).done).toBe(false);
    const ends = async () => [
      await errorOf(admin.import(none(), { headers })),
      await errorOf(readAll(admin.export({}, { headers }))),
    ];
    const codes = (await ends()).map((error) => error?.code);
    expect(codes).toEqual([Code.ResourceExhausted, Code.ResourceExhausted]);
    first.abort();
    // One after the other: each leaves its place to the next.
    await vi.waitFor(async () => expect((await ends()).map((error) => error?.code)).toEqual([undefined, undefined]));
  });

  async function readAll(answers: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of answers);
  }

  async function* none() {
    yield { dryRun: true };
  }

  test("are counted apart from those of a certificate whose name is the token's id", () => {
    const meter = new CallerMeter({ callsPerSecond: 0, streams: 1 }, new VirtualClock());
    const leave = meter.openStream({ ...anybody, tokenId: "a" });
    expect(isRefusal(leave)).toBe(false);
    expect(isRefusal(meter.openStream({ ...anybody, certificateName: "a" }))).toBe(false);
    expect(isRefusal(meter.openStream({ ...anybody, tokenId: "a" }))).toBe(true);
    if (typeof leave === "function") {
      leave();
      leave();
    }
    expect(isRefusal(meter.openStream({ ...anybody, tokenId: "a" }))).toBe(false);
    expect(isRefusal(meter.openStream({ ...anybody, tokenId: "a" }))).toBe(true);
  });
});
