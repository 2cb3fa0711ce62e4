import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { trace } from "@opentelemetry/api";
import { AlwaysOffSampler } from "@opentelemetry/sdk-trace-base";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Service as FlagdService } from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import {
  EvaluateRequestSchema,
  EvaluationService,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { CallSpan } from "../../src/client/call-span.js";
import { MirrorError, openGrpcTransport, openMirror, openRemote } from "../../src/client/index.js";
import { WatchSpan } from "../../src/client/watch-span.js";
import { registeredTracing } from "../../src/server/tracing/call-tracing.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { commitItems, someFlags } from "./ofrep-support.js";
import { SpanRecorder } from "./traces-support.js";
import { openTestServer as openTransport, toFrame } from "./transport-support.js";

const EVALUATE = "flagwire.v1.EvaluationService/Evaluate";
const WATCH = "flagwire.v1.EvaluationService/Watch";
const REPORT = "flagwire.v1.EvaluationService/ReportUsage";

const PARENT = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const SAMPLED = { traceparent: `00-${PARENT.traceId}-${PARENT.spanId}-01` };
const UNSAMPLED = { traceparent: `00-${PARENT.traceId}-${PARENT.spanId}-00` };

/** What must never be in a span. */
const PERSON = { targetingKey: "secret-key", attributes: { plan: "pro", email: "secret@shop.test" } };

// The API has one SDK in each process, so it is registered for all of this file.
const recorder = new SpanRecorder();
let server: TestServer;

beforeAll(async () => {
  recorder.register();
  server = await openTestServer({ version: "1.2.3" });
  await commitItems(server, someFlags);
});
beforeEach(() => recorder.reset());
afterEach(() => expect(JSON.stringify(recorder.spans)).not.toContain("secret"));
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  recorder.unregister();
});

/** A span of a client and the server's below it. */
function pairOf(name: string) {
  const [client, ...others] = recorder.named(name, "CLIENT");
  const [served] = recorder.named(name);
  expect(others).toEqual([]);
  expect(served).toMatchObject({ traceId: client?.traceId, parentId: client?.spanId });
  return { client, served };
}

describe("a call of the client and the server's part of it", () => {
  it("are one trace for an evaluation, with which flag it was and why", async () => {
    await using remote = await openRemote({ address: server.address });
    await remote.string("string", "-", { ...PERSON.attributes, targetingKey: PERSON.targetingKey });
    const { client, served } = pairOf(EVALUATE);
    const flag = {
      "feature_flag.key": "string",
      "feature_flag.result.variant": "b",
      "feature_flag.result.reason": "targeting_match",
      "feature_flag.provider.name": "flagwire",
      "feature_flag.set.id": "production",
      "feature_flag.version": String(server.server.revision),
    };
    const rpc = { "rpc.system.name": "grpc", "rpc.method": EVALUATE, "rpc.status_code": "OK" };
    const [host, port] = server.address.split(":");
    const reached = { "server.address": host, "server.port": Number(port) };
    expect(client).toMatchObject({ parentId: undefined, isError: false });
    expect(client?.attributes).toEqual({ ...flag, ...rpc, ...reached });
    expect(served).toMatchObject({ isError: false });
    expect(served?.attributes).toEqual({ ...flag, ...rpc, "server.address": host });
  });

  it("tell of a refusal, which is the client's error and not the server's", async () => {
    await using remote = await openRemote({ address: server.address });
    await remote.boolean("none", false, { targetingKey: PERSON.targetingKey });
    const { client, served } = pairOf(EVALUATE);
    const refusal = { "rpc.status_code": "NOT_FOUND", "flagwire.refusal.reason": "FLAG_NOT_FOUND" };
    expect(client).toMatchObject({ isError: true, attributes: { ...refusal, "error.type": "NOT_FOUND" } });
    expect(served).toMatchObject({ isError: false, attributes: refusal });
    expect(served?.attributes).not.toHaveProperty("error.type");
  });

  it("are one trace for the first update of a mirror, while its stream goes on", async () => {
    await using mirror = await openMirror({ address: server.address });
    await expect.poll(() => recorder.named(WATCH, "CLIENT").length).toBe(1);
    const { client, served } = pairOf(WATCH);
    expect(client?.attributes).toMatchObject({
      "flagwire.update.kind": "full",
      "feature_flag.version": String(mirror.revision),
      "feature_flag.set.id": "production",
    });
    expect(served?.attributes).toMatchObject({ "feature_flag.set.id": "production", "rpc.status_code": "OK" });
    expect(server.server.stats().watchers).toBe(1);
  });

  it("are one trace for a report of usage, and evaluations of a mirror make none", async () => {
    const mirror = await openMirror({ address: server.address });
    await expect.poll(() => recorder.named(WATCH, "CLIENT").length).toBe(1);
    recorder.reset();
    mirror.boolean("boolean", false, { targetingKey: PERSON.targetingKey });
    await mirror.close();
    const { client } = pairOf(REPORT);
    expect(client).toMatchObject({ parentId: undefined, isError: false });
    expect(recorder.spans.length).toBe(2);
  });

  it("are in the trace of whoever waits for them, and what goes on behind is not", async () => {
    const request = await recorder.within(async () => {
      await using remote = await openRemote({ address: server.address });
      await remote.boolean("boolean", false);
      const mirror = await openMirror({ address: server.address });
      mirror.boolean("boolean", false);
      await mirror.close();
      const transport = openGrpcTransport({ url: new URL(`http://${server.address}`) });
      // From here on nobody waits.
      transport.unref();
      const { signal } = new AbortController();
      const messages = transport.watch(create(WatchRequestSchema, { once: true }), signal)[Symbol.asyncIterator]();
      for (let next = await messages.next(); next.done !== true; ) next = await messages.next();
      await transport.close();
    });
    await expect.poll(() => recorder.named(WATCH, "CLIENT").length).toBe(2);
    expect(recorder.named(EVALUATE, "CLIENT").map(({ parentId }) => parentId)).toEqual([request]);
    expect(recorder.named(WATCH, "CLIENT").map(({ parentId }) => parentId)).toEqual([request, undefined]);
    expect(recorder.named(REPORT, "CLIENT").map(({ parentId }) => parentId)).toEqual([undefined]);
  });

  it("end with an error where nobody is there", async () => {
    await using remote = await openRemote({ address: "127.0.0.1:1" });
    await remote.boolean("boolean", false);
    expect(recorder.named(EVALUATE, "CLIENT")).toMatchObject([
      { isError: true, attributes: { "rpc.status_code": "UNAVAILABLE", "server.port": 1 } },
    ]);
  });
});

describe("the span of a stream", () => {
  const options = { method: WATCH, system: "grpc", url: new URL("http://x:1"), isBackground: true } as const;

  async function* updates() {
    yield create(WatchResponseSchema, { begin: { kind: 2 } });
    yield create(WatchResponseSchema, { commit: { position: { revision: 7n } } });
    yield create(WatchResponseSchema, { heartbeat: {} });
  }

  it("ends when the first update has been applied, which is when the next message is asked for", async () => {
    const span = new WatchSpan(new CallSpan({ ...options, attributes: {} }), new AbortController().signal);
    const messages = span.follow(updates());
    await messages.next();
    await messages.next();
    expect(recorder.named(WATCH, "CLIENT")).toEqual([]);
    await messages.next();
    expect(recorder.named(WATCH, "CLIENT")).toMatchObject([
      { isError: false, attributes: { "flagwire.update.kind": "delta", "feature_flag.version": "7" } },
    ]);
  });

  it("ends with an error where the update was refused", async () => {
    const stop = new AbortController();
    const messages = new WatchSpan(new CallSpan({ ...options, attributes: {} }), stop.signal).follow(updates());
    await messages.next();
    await messages.next();
    stop.abort(new MirrorError("protocol", "the digest is wrong"));
    await messages.return();
    expect(recorder.named(WATCH, "CLIENT")).toMatchObject([
      { isError: true, attributes: { "error.type": "protocol" } },
    ]);
  });
});

describe("the server continues the trace of a call by", () => {
  const base = () => `http://${server.address}`;
  const clients: Record<string, () => Client<typeof EvaluationService>> = {
    gRPC: () => createClient(EvaluationService, createGrpcTransport({ baseUrl: base() })),
    "gRPC-Web": () => createClient(EvaluationService, createGrpcWebTransport({ baseUrl: base(), httpVersion: "1.1" })),
    Connect: () => createClient(EvaluationService, createConnectTransport({ baseUrl: base(), httpVersion: "1.1" })),
  };

  it.each([
    ["gRPC", "grpc", { "rpc.status_code": "OK" }],
    ["gRPC-Web", "grpc", { "rpc.status_code": "OK" }],
    ["Connect", "connectrpc", {}],
  ] as const)("%s", async (protocol, system, status) => {
    const client = clients[protocol]?.();
    const { value } = (await client?.evaluate({ flagKey: "string", context: PERSON }, { headers: SAMPLED })) ?? {};
    expect(value).toBeDefined();
    const [span, ...others] = recorder.spans;
    expect(others).toEqual([]);
    expect(span).toMatchObject({ name: EVALUATE, kind: "SERVER", traceId: PARENT.traceId, parentId: PARENT.spanId });
    expect(span?.attributes).toMatchObject({ "rpc.system.name": system, "feature_flag.key": "string", ...status });
    expect("rpc.status_code" in (span?.attributes ?? {})).toBe("rpc.status_code" in status);
  });

  it.each(["gRPC", "gRPC-Web", "Connect"] as const)("%s, for a stream until it is open", async (protocol) => {
    const stop = new AbortController();
    const stream = clients[protocol]?.().watch({}, { headers: SAMPLED, signal: stop.signal });
    await stream?.[Symbol.asyncIterator]().next();
    await expect
      .poll(() => recorder.named(WATCH))
      .toMatchObject([{ traceId: PARENT.traceId, parentId: PARENT.spanId, isError: false }]);
    stop.abort();
    await expect.poll(() => server.server.stats().watchers).toBe(0);
    expect(recorder.spans.length).toBe(1);
  });

  it("OFREP, in the words for HTTP", async () => {
    const context = { ...PERSON.attributes, targetingKey: PERSON.targetingKey };
    await server.json("ofrep/v1/evaluate/flags/string", { context }, SAMPLED);
    await server.json("ofrep/v1/evaluate/flags", { context }, SAMPLED);
    await server.json("ofrep/v1/evaluate/flags/secret-flag", { context }, SAMPLED);
    await expect.poll(() => recorder.spans.length).toBe(3);
    expect(recorder.spans.every(({ parentId }) => parentId === PARENT.spanId)).toBe(true);
    expect(recorder.spans.map(({ name, attributes }) => [name, attributes["http.response.status_code"]])).toEqual([
      ["POST /ofrep/v1/evaluate/flags/{key}", 200],
      ["POST /ofrep/v1/evaluate/flags", 200],
      ["POST /ofrep/v1/evaluate/flags/{key}", 404],
    ]);
    expect(recorder.spans[0]?.attributes).toMatchObject({
      "feature_flag.key": "string",
      "http.request.method": "POST",
    });
  });

  it("OFREP's stream of events, until it is open", async () => {
    const stop = new AbortController();
    await fetch(`${base()}/ofrep/v1/sse`, { headers: SAMPLED, signal: stop.signal });
    expect(recorder.spans).toMatchObject([{ name: "GET /ofrep/v1/sse", parentId: PARENT.spanId, isError: false }]);
    stop.abort();
  });

  it("flagd's services", async () => {
    const flagd = createClient(FlagdService, createGrpcTransport({ baseUrl: base() }));
    await flagd.resolveString({ flagKey: "string", context: PERSON.attributes }, { headers: SAMPLED });
    expect(recorder.spans).toMatchObject([
      {
        name: "flagd.evaluation.v1.Service/ResolveString",
        parentId: PARENT.spanId,
        attributes: { "feature_flag.key": "string" },
      },
    ]);
  });

  it("its administrators, with the commit as a part of it", async () => {
    const headers = SAMPLED;
    const { revision } = await server.admin.killFlags({ flagKeys: ["number"], reason: "test" }, { headers });
    const [commit, call] = recorder.spans;
    expect(call).toMatchObject({ parentId: PARENT.spanId });
    expect(commit).toMatchObject({
      name: "store.commit",
      kind: "INTERNAL",
      traceId: PARENT.traceId,
      parentId: call?.spanId,
      attributes: { "flagwire.commit.result": "committed", "flagwire.revision": String(revision) },
    });
  });
});

describe("a call that is not sampled", () => {
  it("leaves no span, whoever decided so", async () => {
    const headers = UNSAMPLED;
    await server.evaluation.evaluate({ flagKey: "string", context: PERSON }, { headers });
    await server.json("ofrep/v1/evaluate/flags/string", { context: {} }, headers);
    expect(recorder.spans).toEqual([]);
    const off = new SpanRecorder(new AlwaysOffSampler());
    await using other = await openTestServer({ tracing: off.tracing });
    await other.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "none" });
    expect(off.spans).toEqual([]);
    await other.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "none" }, SAMPLED);
    expect(off.spans.length).toBe(1);
  });
});

describe.each(["stream", "grpc-js"] as const)("a call that is answered by %s", (answeredBy) => {
  const own = new SpanRecorder();

  async function call(flagKey: string, headers: Record<string, string> = {}) {
    own.reset();
    const { listener, url, log } = await openTransport({ answeredBy, tracing: own.tracing });
    const body = toFrame(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey })));
    const { connect } = await import("node:http2");
    const session = connect(url);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${EVALUATE}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.end(body).resume();
    await expect.poll(() => own.spans.length).toBe(1);
    session.destroy();
    await listener.stop(0);
    return { span: own.spans[0], log };
  }

  it("has failed where the server has, by the id that the log has", async () => {
    const { span, log } = await call("throws");
    expect(span).toMatchObject({
      isError: true,
      attributes: { "rpc.status_code": "INTERNAL", "error.type": "INTERNAL", "flagwire.refusal.reason": "INTERNAL" },
    });
    expect(log.filter(({ msg }) => msg === "handler failed")).toMatchObject([{ requestId: span?.traceId }]);
  });

  it("has the id that its client gave it, and the client's trace", async () => {
    const { span } = await call("refused", { ...SAMPLED, "x-request-id": "mine" });
    expect(span).toMatchObject({
      isError: false,
      parentId: PARENT.spanId,
      attributes: { "rpc.status_code": "INVALID_ARGUMENT", "flagwire.request_id": "mine" },
    });
  });
});

describe("an incoming traceparent", () => {
  it.each([
    ["of another version with more", `cc-${PARENT.traceId}-${PARENT.spanId}-01-more`, PARENT.spanId],
    ["of the version that is none", `ff-${PARENT.traceId}-${PARENT.spanId}-01`, undefined],
    ["with more than its version has", `00-${PARENT.traceId}-${PARENT.spanId}-01-more`, undefined],
    ["with an id of zeros", `00-${"0".repeat(32)}-${PARENT.spanId}-01`, undefined],
    ["in capitals", `00-${PARENT.traceId.toUpperCase()}-${PARENT.spanId}-01`, undefined],
    ["of nonsense", "secret", undefined],
  ])("%s continues a trace only where it is one", async (_what, traceparent, parentId) => {
    await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "string" }, { traceparent });
    expect(recorder.spans.map((span) => span.parentId)).toEqual([parentId]);
  });
});

describe("a program without an SDK", () => {
  it("has nothing traced, on either side", async () => {
    recorder.unregister();
    try {
      expect(registeredTracing("1")).toBeUndefined();
      expect(trace.getTracer("any").startSpan("x").isRecording()).toBe(false);
      await using plain = await openTestServer();
      await using remote = await openRemote({ address: plain.address });
      expect((await remote.details("none", 1)).errorCode).toBe("FLAG_NOT_FOUND");
      expect(recorder.spans).toEqual([]);
    } finally {
      recorder.register();
    }
  });
});
