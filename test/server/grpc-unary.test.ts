import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientSessionOptions,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EvaluateRequestSchema, EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { divertStreams } from "../../src/server/grpc/divert-streams.js";
import { parseTimeout } from "../../src/server/grpc/timeout.js";
import { frame, headersOf, PREFACE, TYPES } from "./http2-frames.js";
import { createManualClock, openTestServer, type TestServer, toFrame } from "./transport-support.js";

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const MAX_MESSAGE_BYTES = 1_000;

let server: TestServer;
let session: ClientHttp2Session;

beforeEach(() => start());
afterEach(() => stop());

async function start(options: Parameters<typeof openTestServer>[0] = {}): Promise<void> {
  server = await openTestServer({ limits: { maxMessageBytes: MAX_MESSAGE_BYTES }, ...options });
  await connectAgain();
}

/** Resolves once the server knows what the connection speaks: until then a timer of its own is pending. */
async function connectAgain(...options: [] | [ClientSessionOptions]): Promise<void> {
  session = connect(server.url, ...options);
  session.on("error", () => {});
  await once(session, "remoteSettings");
}

async function stop(): Promise<void> {
  session.destroy();
  await server.listener.stop(0);
}

async function restart(options: Parameters<typeof openTestServer>[0]): Promise<void> {
  await stop();
  await start(options);
}

const messageFor = (flagKey: string) => toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey }));
const frameFor = (flagKey: string) => toFrame(messageFor(flagKey));

interface Result {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly status: string | undefined;
  readonly body: Buffer;
  readonly rstCode: number;
}

function open(headers: Record<string, string | string[]> = {}, endStream = false) {
  const stream = session.request(
    { ":path": EVALUATE, ":method": "POST", "content-type": "application/grpc", te: "trailers", ...headers },
    { endStream },
  );
  stream.on("error", () => {});
  const result = new Promise<Result>((resolve) => {
    let response: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (given) => {
      response = given;
    });
    stream.on("trailers", (given) => {
      trailers = given;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("close", () => {
      const status = (trailers["grpc-status"] ?? response["grpc-status"]) as string | undefined;
      resolve({
        headers: response,
        trailers,
        status,
        body: Buffer.concat(chunks),
        rstCode: stream.rstCode ?? 0,
      });
    });
  });
  return { stream, result };
}

function call(frame: Buffer, headers: Record<string, string | string[]> = {}): Promise<Result> {
  const { stream, result } = open(headers);
  stream.end(frame);
  return result;
}

const statusOf = async (result: Promise<Result>): Promise<string | undefined> => (await result).status;

function answerOf({ body }: Result) {
  expect(body.subarray(0, 5)).toEqual(toFrame(body.subarray(5)).subarray(0, 5));
  return fromBinary(EvaluateResponseSchema, body.subarray(5));
}

describe("the diversion of unary calls", () => {
  const diversion = { prepare: () => {}, pick: () => undefined, answer: () => {} };

  it("is in force with the version of grpc-js that is installed", async () => {
    const { headers } = await call(frameFor("f"));
    expect(server.log.filter(({ msg }) => msg.includes("grpc-js"))).toEqual([]);
    // grpc-js sends it with every answer.
    expect(headers["grpc-encoding"]).toBeUndefined();
    expect(headers["grpc-accept-encoding"]).toBe("identity,deflate,gzip");
  });

  it("refuses a grpc-js that is built otherwise, and changes nothing of it", () => {
    const unopened = new Server();
    expect(divertStreams(unopened, diversion)).toBe(false);
    const twofold = new Server();
    twofold.createConnectionInjector(ServerCredentials.createInsecure());
    twofold.createConnectionInjector(ServerCredentials.createInsecure());
    expect(divertStreams(twofold, diversion)).toBe(false);
    const renamed = new Server();
    renamed.createConnectionInjector(ServerCredentials.createInsecure());
    Object.assign(renamed, { onStreamOpened: undefined });
    expect(divertStreams(renamed, diversion)).toBe(false);
    for (const grpc of [unopened, twofold, renamed]) grpc.forceShutdown();
  });

  it("leaves to grpc-js what is out of the ordinary, which answers it as ever", async () => {
    const compressed = toFrame(gzipSync(messageFor("f")), true);
    const gzip = await call(compressed, { "grpc-encoding": "gzip" });
    expect(answerOf(gzip)).toMatchObject({ flagKey: "f" });
    expect(gzip.headers["grpc-encoding"]).toBe("identity");
    const parameters = await call(frameFor("f"), { "content-type": "application/grpc;charset=utf-8" });
    expect(answerOf(parameters)).toMatchObject({ flagKey: "f" });
    expect(await statusOf(call(frameFor("f"), { "grpc-encoding": "zebra" }))).toBe("0");
  });
});

/** The types of the frames that are there whole. */
function typesOf(bytes: Buffer): number[] {
  const types: number[] = [];
  let at = 0;
  while (at + 9 <= bytes.byteLength) {
    types.push(bytes.readUInt8(at + 3));
    at += 9 + bytes.readUIntBE(at, 3);
  }
  return types;
}

describe("a request over HTTP/2 that is no gRPC", () => {
  const BULK = { ":path": "/ofrep/v1/evaluate/flags", "content-type": "application/json" };

  it.each([
    ["of OFREP", BULK],
    ["of a method of ours, in JSON", { "content-type": "application/json" }],
    ["of gRPC-Web", { "content-type": "application/grpc-web+proto" }],
    ["of a probe", { ":path": "/healthz", ":method": "GET" }],
  ])("%s is told to come over HTTP/1.1", async (_name, headers) => {
    const { stream, result } = open({ "content-type": "text/plain", ...headers });
    stream.end(stream.sentHeaders[":method"] === "GET" ? undefined : "{}");
    const { headers: told, body } = await result;
    expect(told).toMatchObject({ ":status": 415, "content-type": "application/json" });
    expect(JSON.parse(body.toString())).toMatchObject({ message: expect.stringContaining("over HTTP/1.1") });
  });

  it("is not reset while its body still comes", async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connectSocket(Number(port), hostname);
    let received = Buffer.alloc(0);
    socket.on("data", (part: Buffer) => {
      received = Buffer.concat([received, part]);
    });
    const types = () => typesOf(received);
    const headers = headersOf("/ofrep/v1/evaluate/flags")
      .toString("latin1")
      .replace("\x10application/grpc", "\x10application/json");
    const opened = frame(TYPES.headers, 4, 1, Buffer.from(headers, "latin1"));
    socket.write(Buffer.concat([PREFACE, frame(TYPES.settings, 0, 0), opened]));
    await expect.poll(types, { interval: 5 }).toContain(TYPES.data);
    socket.write(Buffer.concat([frame(TYPES.data, 1, 1, Buffer.from("{}")), frame(TYPES.ping, 0, 0, Buffer.alloc(8))]));
    await expect.poll(types, { interval: 5 }).toContain(TYPES.ping);
    expect(types()).not.toContain(TYPES.reset);
    socket.destroy();
  });

  it("has no body by HEAD", async () => {
    const { stream, result } = open({ ...BULK, ":method": "HEAD" });
    stream.end();
    expect(await result).toMatchObject({ headers: { ":status": 415 }, body: Buffer.alloc(0) });
  });

  it("whose body does not end is ended", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const { stream, result } = open(BULK);
    await once(stream, "response");
    clock.advance(5_000);
    expect((await result).headers[":status"]).toBe(415);
    expect(clock.pending).toBe(0);
  });
});

describe("a unary call on its stream", () => {
  it.each(["application/grpc", "application/grpc+proto"])("is answered as %s", async (type) => {
    const result = await call(frameFor("f"), { "content-type": type, "grpc-encoding": "identity" });
    expect(result).toMatchObject({
      status: "0",
      headers: { ":status": 200, "content-type": "application/grpc+proto" },
    });
    expect(answerOf(result)).toMatchObject({ flagKey: "f", revision: 7n });
  });

  it("may come in any number of parts", async () => {
    const frame = frameFor("a flag");
    for (let at = 1; at < frame.byteLength; at += 1) {
      const { stream, result } = open();
      stream.write(frame.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      stream.end(frame.subarray(at));
      expect(answerOf(await result)).toMatchObject({ flagKey: "a flag" });
    }
    const { stream, result } = open();
    for (const byte of frame) {
      await new Promise((resolve) => stream.write(Buffer.from([byte]), resolve));
    }
    stream.end();
    expect(answerOf(await result)).toMatchObject({ flagKey: "a flag" });
  });

  it("has no more than one message, all of it", async () => {
    const frame = frameFor("f");
    const missing = await call(Buffer.alloc(0));
    expect(missing).toMatchObject({ status: "12", body: Buffer.alloc(0) });
    expect(missing.headers["grpc-message"]).toBe(encodeURI("the request ended without a message"));
    expect(await statusOf(open({}, true).result)).toBe("12");
    expect(await statusOf(call(frame.subarray(0, 3)))).toBe("12");
    expect(await statusOf(call(frame.subarray(0, -1)))).toBe("12");
    expect(await statusOf(call(Buffer.concat([frame, frame])))).toBe("12");
    expect(await statusOf(call(Buffer.concat([frame, Buffer.from([0])])))).toBe("12");
  });

  it("has no compressed message where no header says how it is compressed", async () => {
    expect(await statusOf(call(toFrame(messageFor("f"), true)))).toBe("13");
    expect(await statusOf(call(toFrame(messageFor("f"), true), { "grpc-encoding": "identity" }))).toBe("13");
  });

  it("is answered where its message is empty", async () => {
    expect(answerOf(await call(toFrame(Buffer.alloc(0))))).toMatchObject({ flagKey: "", reason: "STATIC" });
  });

  it("is refused by the size that its message is said to have, before it has come", async () => {
    const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    const { stream, result } = open();
    const answered = new Promise<IncomingHttpHeaders>((resolve) => stream.once("response", resolve));
    stream.write(head);
    expect(await answered).toMatchObject({ "grpc-status": "8" });
    stream.end();
    expect((await result).rstCode).toBe(0);
    const largest = create(EvaluateRequestSchema, { flagKey: "k".repeat(MAX_MESSAGE_BYTES - 3) });
    const bytes = toBinary(EvaluateRequestSchema, largest);
    expect(bytes.byteLength).toBe(MAX_MESSAGE_BYTES);
    expect(await statusOf(call(toFrame(bytes)))).toBe("0");
    expect(await statusOf(call(toFrame(Buffer.concat([bytes, Buffer.from([0x20])]))))).toBe("8");
  });

  it("ends the stream when it has refused it, although the request has not ended, and the status arrives", async () => {
    const early = [
      { headers: {}, part: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), status: "8" },
      { headers: {}, part: Buffer.concat([frameFor("f"), frameFor("f")]), status: "12" },
      { headers: { "grpc-timeout": "soon" }, part: Buffer.alloc(5), status: "13" },
    ];
    for (const { headers, part, status } of early) {
      const { stream, result } = open(headers);
      stream.write(part);
      expect(await result).toMatchObject({ status, rstCode: constants.NGHTTP2_NO_ERROR });
    }
  });

  it("is stopped from sending for ever when it is refused, and does not hold up a drain", async () => {
    const { stream, result } = open();
    const send = (error?: Error | null): void => {
      if (!error && !stream.closed) stream.write(Buffer.alloc(65_536, 0xff), send);
    };
    send();
    expect(await statusOf(result)).toBe("8");
    const { stream: waiting } = open();
    waiting.write(Buffer.alloc(5, 0xff));
    await new Promise((resolve) => waiting.once("response", resolve));
    // Without a deadline: it would wait for good.
    await server.listener.stop(Number.POSITIVE_INFINITY);
  });

  it("keeps nothing of what came with it for a handler that keeps a part of its message", async () => {
    const unknown = Buffer.concat([messageFor("kept"), Buffer.from([0xa2, 0x06, 1, 0x61])]);
    const parallel = [call(toFrame(unknown)), call(frameFor("x".repeat(500)))];
    for (const result of parallel) expect(await statusOf(result)).toBe("0");
    expect(server.seen.kept.map((data) => data.buffer.byteLength)).toEqual([unknown.byteLength]);
  });

  it("is not handled if its client is gone before its end", async () => {
    const { stream } = open();
    await new Promise((resolve) => stream.write(frameFor("peer"), resolve));
    expect(await statusOf(call(frameFor("f")))).toBe("0");
    session.destroy();
    await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(0));
    session = connect(server.url);
    expect(await statusOf(call(frameFor("f")))).toBe("0");
    expect(server.seen.peers).toEqual([]);
  });

  it("aborts its handler when the connection breaks, and when the server is stopped by force", async () => {
    open().stream.end(frameFor("never"));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    session.destroy();
    await vi.waitFor(() => expect(server.seen.aborts).toEqual(["CANCELLED"]));
    session = connect(server.url);
    session.on("error", () => {});
    open().stream.end(frameFor("never"));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(2));
    await server.listener.stop(0);
    await vi.waitFor(() => expect(server.seen.aborts).toEqual(["CANCELLED", "CANCELLED"]));
  });

  it.each([
    ["while it is sent", () => frameFor("f").subarray(0, 7)],
    ["while it is handled", () => frameFor("never")],
    ["while its answer is sent", () => frameFor("large")],
  ])("breaks nothing if its client resets it with an error %s", async (_, request) => {
    for (const code of [constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_FLOW_CONTROL_ERROR]) {
      const { stream, result } = open();
      await new Promise((resolve) => stream.write(request(), resolve));
      stream.close(code);
      await result;
      expect(await statusOf(call(frameFor("f")))).toBe("0");
    }
  });

  it("breaks nothing if its client leaves while its large answer is sent", async () => {
    const { stream, result } = open();
    stream.end(frameFor("large"));
    await new Promise((resolve) => stream.once("response", resolve));
    stream.close(constants.NGHTTP2_CANCEL);
    await result;
    expect(await statusOf(call(frameFor("f")))).toBe("0");
  });

  it("keeps its connection from being idle", async () => {
    await restart({ limits: { maxConnectionIdleMs: 100 } });
    open().stream.end(frameFor("never"));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    // Two connections, one after the other, that become idle and are closed.
    for (let period = 1; period <= 2; period += 1) {
      const idle = connect(server.url);
      idle.on("error", () => {});
      await new Promise((resolve) => idle.once("close", resolve));
    }
    expect(session.closed).toBe(false);
    expect(await statusOf(call(frameFor("f")))).toBe("0");
    expect(server.listener.stats().connections.grpc).toBe(1);
  });

  it("leaves its connection idle when it is over", async () => {
    await restart({ limits: { maxConnectionIdleMs: 100 } });
    const closed = new Promise((resolve) => session.once("close", resolve));
    await call(frameFor("f"));
    await closed;
  });
});

describe("the time limit of a unary call", () => {
  it.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3_000],
    ["00000004m", 4],
    ["500u", 0.5],
    ["1000000n", 1],
    ["0S", 0],
    ["99999999H", 2 ** 31 - 1],
  ])("is read from grpc-timeout: %s is %s ms", (header, timeoutMs) => {
    expect(parseTimeout(header)).toBeCloseTo(timeoutMs, 9);
  });

  it.each(["", "1", "S", "1s", "-1S", "+1S", "1.5S", " 1S", "1 S", "1S ", "123456789S", "1SS", "1S\n", "0x1S", "١S"])(
    "is not read from %j",
    (header) => {
      expect(parseTimeout(header)).toBeUndefined();
    },
  );

  it.each(["soon", "123456789S", "1 S"])("refuses the call if it is malformed: %j", async (timeout) => {
    expect(await statusOf(call(frameFor("f"), { "grpc-timeout": timeout }))).toBe("13");
    expect(await statusOf(call(frameFor("f")))).toBe("0");
  });

  it("starts no timer for a call that is answered at once", async () => {
    const clock = createManualClock();
    await restart({ clock });
    expect(await statusOf(call(frameFor("f"), { "grpc-timeout": "5S" }))).toBe("0");
    expect(clock.pending).toBe(0);
  });

  it("needs no timer for a call that is refused, although its client goes on sending", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const { stream, result } = open({ "grpc-timeout": "5S" });
    const answered = new Promise<IncomingHttpHeaders>((resolve) => stream.once("response", resolve));
    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    expect(await answered).toMatchObject({ "grpc-status": "8" });
    expect(clock.pending).toBe(0);
    stream.end(Buffer.alloc(100_000));
    await result;
    expect(clock.pending).toBe(0);
  });

  it("ends a call whose request does not come in time", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const { stream, result } = open({ "grpc-timeout": "5S" });
    const answered = new Promise<IncomingHttpHeaders>((resolve) => stream.once("response", resolve));
    stream.write(frameFor("f").subarray(0, 7));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(5_000);
    expect(await answered).toMatchObject({ "grpc-status": "4" });
    stream.end();
    await result;
    expect(clock.pending).toBe(0);
  });

  it("ends a call without a deadline whose request does not come in the server's own time", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { unaryTimeoutMs: 30_000 } });
    const { stream, result } = open();
    stream.write(frameFor("f").subarray(0, 7));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(29_999);
    expect(await statusOf(call(frameFor("f")))).toBe("0");
    expect(stream.closed).toBe(false);
    clock.advance(1);
    // Its client has not ended it, and need not.
    expect(await result).toMatchObject({ status: "4", rstCode: constants.NGHTTP2_NO_ERROR });
    expect(clock.pending).toBe(0);
  });

  it("gives a handler its whole time, however long its request took", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { unaryTimeoutMs: 30_000 } });
    const { stream, result } = open({ "grpc-timeout": "50S" });
    const frame = frameFor("never");
    stream.write(frame.subarray(0, 7));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(20_000);
    stream.end(frame.subarray(7));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    // The server's own limit, and the client's.
    expect(clock.pending).toBe(2);
    clock.advance(29_999);
    expect(server.seen.aborts).toEqual([]);
    clock.advance(1);
    expect(await statusOf(result)).toBe("4");
    expect(server.seen.aborts).toEqual(["DEADLINE_EXCEEDED"]);
  });

  it("bounds how long its client may take a small answer, which may have no room at all", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    session.destroy();
    await connectAgain({ settings: { initialWindowSize: 0 } });
    const calls = ["f", "some turns later"].map((flagKey) => {
      const opened = open({ "grpc-timeout": "1S" });
      opened.stream.end(frameFor(flagKey));
      return opened;
    });
    await vi.waitFor(() => expect(clock.pending).toBe(2));
    clock.advance(4_999);
    expect(server.listener.stats().stalledClients).toBe(0);
    clock.advance(1);
    for (const { result } of calls) expect((await result).rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(server.listener.stats()).toMatchObject({ stalledClients: 2, connections: { grpc: 1 } });
    expect(clock.pending).toBe(0);
  });

  it("bounds that too where grpc-js answers, by cutting off the connection", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 }, answeredBy: "grpc-js" });
    session.destroy();
    await connectAgain({ settings: { initialWindowSize: 0 } });
    session.on("error", () => {});
    open().stream.end(frameFor("f"));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(5_000);
    await vi.waitFor(() => expect(session.destroyed).toBe(true));
    expect(server.listener.stats().stalledClients).toBe(1);
  });

  it("ends a call whose handler takes longer, and aborts it", async () => {
    const clock = createManualClock();
    await restart({ clock });
    const { stream, result } = open({ "grpc-timeout": "5S" });
    stream.end(frameFor("never"));
    // The server's own limit, and the client's.
    await vi.waitFor(() => expect(clock.pending).toBe(2));
    clock.advance(5_000);
    expect(await statusOf(result)).toBe("4");
    expect(server.seen.aborts).toEqual(["DEADLINE_EXCEEDED"]);
    expect(clock.pending).toBe(0);
  });

  it("leaves no timer when the client leaves first", async () => {
    const clock = createManualClock();
    await restart({ clock });
    open({ "grpc-timeout": "5S" }).stream.write(frameFor("f").subarray(0, 7));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    session.destroy();
    await vi.waitFor(() => expect(clock.pending).toBe(0));
  });
});
