import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { credentials, Metadata, Client as RawClient, type ServiceError } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { AdminService, ImportRequestSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  EvaluateRequestSchema,
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationService,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import {
  callByHttp2,
  createManualClock,
  openTestServer,
  SECRET,
  settled,
  type TestServer,
} from "./transport-support.js";

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const IMPORT = "/flagwire.v1.AdminService/Import";
const WATCH = "/flagwire.v1.EvaluationService/Watch";

let server: TestServer;
let sessions: Http2SessionManager;
let raw: RawClient;
/** What answers unary calls: the two must not differ. */
let answeredBy: "stream" | "grpc-js" = "stream";

beforeEach(() => start());
afterEach(() => stop());

async function start(options: Parameters<typeof openTestServer>[0] = {}): Promise<void> {
  server = await openTestServer({ answeredBy, ...options });
  sessions = new Http2SessionManager(server.url);
  raw = new RawClient(new URL(server.url).host, credentials.createInsecure());
}

async function stop(): Promise<void> {
  sessions.abort();
  raw.close();
  await server.listener.stop(0);
}

async function restart(options: Parameters<typeof openTestServer>[0]): Promise<void> {
  await stop();
  await start(options);
}

const transport = () => createGrpcTransport({ baseUrl: server.url, sessionManager: sessions });
const evaluation = (): Client<typeof EvaluationService> => createClient(EvaluationService, transport());
const admin = (): Client<typeof AdminService> => createClient(AdminService, transport());

/** Sends these bytes as the request of Evaluate, and gives the answer or the status. */
function evaluateBytes(bytes: Uint8Array, metadata = new Metadata()): Promise<EvaluateResponse | ServiceError> {
  return callBytes(EVALUATE, bytes, metadata);
}

function callBytes(
  path: string,
  bytes: Uint8Array,
  metadata = new Metadata(),
): Promise<EvaluateResponse | ServiceError> {
  return new Promise((resolve) => {
    raw.makeUnaryRequest(
      path,
      (message: Uint8Array) => Buffer.from(message),
      (message) => fromBinary(EvaluateResponseSchema, message),
      bytes,
      metadata,
      { deadline: Date.now() + 10_000 },
      (error, answer) => resolve(error ?? (answer as EvaluateResponse)),
    );
  });
}

const evaluateKey = (flagKey: string) =>
  evaluateBytes(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey })));

function openWatch(clientName: string) {
  const request = create(WatchRequestSchema, { clientName });
  const encode = () => Buffer.from(toBinary(WatchRequestSchema, request));
  const stream = raw.makeServerStreamRequest(WATCH, encode, (bytes) => bytes, request);
  stream.on("error", () => {});
  return stream;
}

function watchWithoutReading(clientName: string) {
  const message = toBinary(WatchRequestSchema, create(WatchRequestSchema, { clientName }));
  return callByHttp2(server.url, WATCH, message);
}

async function failure(call: Promise<unknown> | AsyncIterable<unknown>): Promise<ConnectError> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call);
    else await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call succeeded");
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}

/** gRPC's status of a call by bare HTTP/2: no client of gRPC's sends headers that it does not allow. */
async function statusByHttp2(path: string, message: Uint8Array, headers: OutgoingHttpHeaders): Promise<unknown> {
  const { session, stream } = callByHttp2(server.url, path, message, headers);
  let status: unknown;
  const take = (given: IncomingHttpHeaders) => {
    status = given["grpc-status"] ?? status;
  };
  stream.on("response", take).on("trailers", take).resume();
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  return status;
}

const unaryPaths = ["stream", "grpc-js"] as const;

function whenAnsweredBy(path: typeof answeredBy): void {
  beforeAll(() => {
    answeredBy = path;
  });
  afterAll(() => {
    answeredBy = "stream";
  });
}

describe.each(unaryPaths)("a unary call over gRPC, answered by %s", (path) => {
  whenAnsweredBy(path);

  it("is answered by a handler that answers at once", async () => {
    const answer = await evaluation().evaluate({ flagKey: "f" }, { headers: { "x-variant": "on" } });
    expect(answer).toMatchObject({ flagKey: "f", variant: "on", revision: 7n });
  });

  it("is answered by a handler that answers later", async () => {
    expect(await evaluation().evaluate({ flagKey: "later" })).toMatchObject({ flagKey: "later" });
  });

  it("is answered to a grpc-js client", async () => {
    expect(await evaluateKey("f")).toMatchObject({ flagKey: "f", reason: "STATIC" });
  });

  it("tells the handler the client's address", async () => {
    await evaluateKey("peer");
    expect(server.seen.peers).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  it.each(["Bearer x", "", "Bearer\tx", "Bearer \xe9\xff"])(
    "is refused if it presents a token: %j",
    async (authorization) => {
      const headers = { authorization };
      const message = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "f" }));
      expect(await statusByHttp2(EVALUATE, message, headers)).toBe("16");
      expect(await statusByHttp2(WATCH, Buffer.alloc(0), headers)).toBe("16");
      expect(await statusByHttp2(EVALUATE, message, {})).toBe("0");
    },
  );

  it("carries a refusal with its google.rpc details", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused" }));
    expect(error).toMatchObject({ code: 3, rawMessage: "the flag is not valid" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "FLAG_INVALID", domain: "flagwire", metadata: { key: "k" } },
    ]);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([
      { field: "flag.variants[0]", description: "has another type" },
      { field: "flag.variants[1]" },
    ]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n, nanos: 500_000_000 } }]);
  });

  it("carries as many violations as fit a header block, and counts the others", async () => {
    const error = (await evaluateKey("refused at length")) as ServiceError;
    const bytes = error.metadata.get("grpc-status-details-bin")[0] as Buffer;
    // In base64, with room for the other headers in 8 KiB.
    expect((bytes.byteLength * 4) / 3).toBeLessThan(7_200);
    const details = fromBinary(StatusSchema, bytes).details;
    const named = details.flatMap((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? []).length;
    const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((found) => found !== undefined);
    expect(named).toBeGreaterThan(20);
    expect(Number(info?.metadata.omittedViolations)).toBe(2_000 - named);
  });

  it("carries the message and each detail at a length that fits, in whole characters", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused with long texts" }));
    expect(error.code).toBe(5);
    expect(error.rawMessage).toMatch(/^😀+…$/u);
    expect(Buffer.byteLength(error.rawMessage)).toBeLessThanOrEqual(1_024);
    expect(Buffer.byteLength(error.rawMessage)).toBeGreaterThan(1_000);
    const [info] = error.findDetails(ErrorInfoSchema);
    expect(info?.metadata.long).toMatch(/^€+…$/u);
    expect(Buffer.byteLength(info?.metadata.long ?? "")).toBeLessThanOrEqual(256);
    expect(info?.metadata.whole).toBe("k".repeat(256));
    const [violation] = error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
    expect(violation?.field).toMatch(/^context.attributes\[x+…$/);
  });

  it("leaves the metadata out where it is too much alone", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused with much metadata" }));
    expect(error).toMatchObject({ code: 5, rawMessage: "nothing" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "MUCH", metadata: {} }]);
  });

  it("carries a message that is not well formed or spans lines", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "refused oddly" }));
    expect(error).toMatchObject({ code: 5, rawMessage: "half a surrogate \ufffd, a line\nfeed and 100 %" });
  });

  it.each(["throws", "rejects", "malformed"])(
    "answers INTERNAL without the cause if the handler %s",
    async (flagKey) => {
      const error = await failure(evaluation().evaluate({ flagKey }));
      expect(error.code).toBe(13);
      expect(error.message).not.toContain("hunter2");
      const line = server.log.find(({ msg }) => msg === "handler failed");
      expect(line).toMatchObject({ method: "flagwire.v1.EvaluationService/Evaluate", level: 50 });
      if (flagKey !== "malformed") expect(JSON.stringify(line)).toContain(SECRET);
    },
  );

  it("ends with DEADLINE_EXCEEDED and an aborted signal when the server's time limit passes", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { unaryTimeoutMs: 30_000 } });
    const failed = failure(evaluation().evaluate({ flagKey: "never" }));
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    clock.advance(30_000);
    await vi.waitFor(() => expect(server.seen.aborts).toEqual(["DEADLINE_EXCEEDED"]));
    expect((await failed).code).toBe(4);
  });

  it("aborts the signal with DEADLINE_EXCEEDED at the client's deadline", async () => {
    const error = await failure(evaluation().evaluate({ flagKey: "never" }, { timeoutMs: 100 }));
    expect(error.code).toBe(4);
    await vi.waitFor(() => expect(server.seen.aborts).toHaveLength(1));
  });

  it("aborts the signal with CANCELLED when the client leaves", async () => {
    const leaving = new AbortController();
    const failed = failure(evaluation().evaluate({ flagKey: "never" }, { signal: leaving.signal }));
    await vi.waitFor(() => expect(server.listener.stats().connections.grpc).toBe(1));
    await evaluation().evaluate({ flagKey: "f" });
    leaving.abort();
    await failed;
    await vi.waitFor(() => expect(server.seen.aborts).toEqual(["CANCELLED"]));
  });
});

describe.each(unaryPaths)("a malformed request over gRPC, answered by %s", (path) => {
  whenAnsweredBy(path);

  const info = (error: ServiceError) =>
    fromBinary(StatusSchema, error.metadata.get("grpc-status-details-bin")[0] as Buffer).details.map((any) =>
      anyUnpack(any, ErrorInfoSchema),
    );

  it("is INVALID_ARGUMENT if it is truncated", async () => {
    const bytes = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "a long flag key" }));
    const error = (await evaluateBytes(bytes.subarray(0, 5))) as ServiceError;
    expect(error.code).toBe(3);
    expect(error.details).toContain("flagwire.v1.EvaluateRequest");
    expect(info(error)).toMatchObject([{ reason: "MALFORMED_MESSAGE", domain: "flagwire" }]);
  });

  it("is INVALID_ARGUMENT if it is random", async () => {
    expect(((await evaluateBytes(Buffer.alloc(64, 0xff))) as ServiceError).code).toBe(3);
  });

  it("is INVALID_ARGUMENT if it is nested too deep", async () => {
    let value: Buffer = Buffer.from([0x20, 1]);
    for (let depth = 0; depth < 300; depth += 1) {
      const list = field(1, value);
      value = field(6, list);
    }
    const entry = Buffer.concat([field(1, Buffer.from("a")), field(2, value)]);
    const bytes = field(3, field(2, field(1, entry)));
    expect(((await evaluateBytes(bytes)) as ServiceError).code).toBe(3);
  });

  it("is RESOURCE_EXHAUSTED if it is larger than 4 MiB", async () => {
    expect(((await evaluateBytes(Buffer.alloc(4 * 1024 * 1024 + 1))) as ServiceError).code).toBe(8);
  });

  it("is taken if it has unknown fields", async () => {
    const bytes = Buffer.concat([field(2, Buffer.from("f")), field(1_000, Buffer.from("new"))]);
    expect(await evaluateBytes(bytes)).toMatchObject({ flagKey: "f" });
  });

  it("is UNIMPLEMENTED if the method or the service is not known", async () => {
    const nothing = Buffer.alloc(0);
    expect(await callBytes("/flagwire.v1.EvaluationService/Nope", nothing)).toMatchObject({ code: 12 });
    expect(await callBytes("/nobody.Service/Nope", nothing)).toMatchObject({ code: 12 });
  });

  it("ends a server stream with INVALID_ARGUMENT before its handler is called", async () => {
    const stream = raw.makeServerStreamRequest(
      WATCH,
      () => Buffer.from([0xff]),
      (bytes) => bytes,
      null,
    );
    const status = await new Promise<ServiceError>((resolve) =>
      stream.on("error", (error) => resolve(error as ServiceError)),
    );
    expect(status.code).toBe(3);
    expect(server.seen.cleanups).toEqual([]);
  });

  it("ends a client stream with INVALID_ARGUMENT, and the handler does not take a part for the whole", async () => {
    const parts = [Buffer.alloc(0), Buffer.from([0xff])];
    const status = await new Promise<ServiceError | null>((resolve) => {
      const stream = raw.makeClientStreamRequest(
        IMPORT,
        (part: Buffer) => part,
        (bytes) => bytes,
        (error) => resolve(error),
      );
      for (const part of parts) stream.write(part);
      stream.end();
    });
    expect(status?.code).toBe(3);
    expect(server.seen.imports).toEqual(["part ", "aborted: false"]);
  });
});

/** A length-delimited field. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

describe("a server stream over gRPC", () => {
  it("carries every message and ends OK", async () => {
    expect(await collect(admin().export({}))).toMatchObject([{ revision: 1n }, { revision: 2n }]);
  });

  it("carries messages that are encoded already", async () => {
    expect(await collect(evaluation().watch({ clientName: "encoded" }))).toMatchObject([
      { heartbeat: { position: { epoch: "e", revision: 1n } } },
    ]);
  });

  it("ends with a refusal's status and details, after the messages before it", async () => {
    const messages: unknown[] = [];
    const error = await failure(
      (async () => {
        for await (const message of evaluation().watch({ clientName: "refused" })) messages.push(message);
      })(),
    );
    expect(messages).toHaveLength(1);
    expect(error).toMatchObject({ code: 14, rawMessage: "come back" });
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { nanos: 250_000_000 } }]);
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["refused"]));
  });

  it.each(["throws", "throws at once", "malformed"])(
    "ends INTERNAL without the cause if the handler %s",
    async (name) => {
      const error = await failure(evaluation().watch({ clientName: name }));
      expect(error.code).toBe(13);
      expect(error.message).not.toContain("hunter2");
      expect(server.log).toContainEqual(expect.objectContaining({ msg: "handler failed" }));
      await vi.waitFor(() => expect(server.seen.cleanups).toEqual([name]));
    },
  );

  it("runs the handler's cleanup when the client leaves while nothing is sent", async () => {
    const stream = openWatch("parked");
    await new Promise((resolve) => stream.once("data", resolve));
    stream.cancel();
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["parked"]));
    expect(server.seen.aborts).toEqual(["CANCELLED"]);
  });

  it("runs the handler's cleanup when the client leaves while it is behind", async () => {
    const { session } = watchWithoutReading("flood");
    await settled(() => server.seen.produced.get("flood"));
    session.destroy();
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["flood"]));
  });

  it("asks the handler for no more than the client reads", async () => {
    const { session, stream } = watchWithoutReading("flood");
    // One fills HTTP/2's window, and one more is in flight.
    const before = await settled(() => server.seen.produced.get("flood"));
    expect(before).toBeLessThan(4);
    stream.resume();
    await vi.waitFor(() => expect(server.seen.produced.get("flood")).toBeGreaterThan(before + 100));
    session.destroy();
  });
});

describe("a client that does not read over gRPC", () => {
  it("is cut off, counted and logged, and others never notice", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const { session } = watchWithoutReading("flood stalled");
    const reading = new Http2SessionManager(server.url);
    const other = createClient(
      EvaluationService,
      createGrpcTransport({ baseUrl: server.url, sessionManager: reading }),
    );
    const parked = other.watch({ clientName: "parked" })[Symbol.asyncIterator]();
    await parked.next();
    await settled(() => server.seen.produced.get("flood stalled"));
    clock.advance(4_999);
    expect(await other.evaluate({ flagKey: "f" })).toMatchObject({ flagKey: "f" });
    expect(server.listener.stats().stalledClients).toBe(0);

    clock.advance(1);
    await vi.waitFor(() => expect(session.destroyed).toBe(true));
    await vi.waitFor(() => expect(server.seen.cleanups).toEqual(["flood stalled"]));

    expect(server.listener.stats()).toMatchObject({ stalledClients: 1, connections: { grpc: 1 } });
    expect(server.log).toContainEqual(
      expect.objectContaining({
        method: "flagwire.v1.EvaluationService/Watch",
        clientName: "flood stalled",
        stallTimeoutMs: 5_000,
      }),
    );
    expect(await other.evaluate({ flagKey: "f" })).toMatchObject({ flagKey: "f" });
    expect(server.seen.cleanups).toEqual(["flood stalled"]);
    reading.abort();
  });

  const largeCall = () =>
    callByHttp2(
      server.url,
      EVALUATE,
      toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "large" })),
    );

  it("loses the call whose large unary answer it does not take, and keeps its connection", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const { session, stream } = largeCall();
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(5_000);
    await vi.waitFor(() => expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    expect(session.destroyed).toBe(false);
    expect(server.listener.stats()).toMatchObject({ stalledClients: 1, connections: { grpc: 1 } });
    expect(server.log).toContainEqual(
      expect.objectContaining({ method: "flagwire.v1.EvaluationService/Evaluate", stallTimeoutMs: 5_000 }),
    );
    session.destroy();
  });

  it("is cut off when it does not take a large unary answer of grpc-js", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 }, answeredBy: "grpc-js" });
    const { session } = largeCall();
    await vi.waitFor(() => expect(server.seen.peers).toHaveLength(1));
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    clock.advance(5_000);
    await vi.waitFor(() => expect(session.destroyed).toBe(true));
    expect(server.listener.stats().stalledClients).toBe(1);
  });

  it("is left alone while it makes progress", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const { session, stream } = watchWithoutReading("flood");
    for (let elapsedMs = 0; elapsedMs < 20_000; elapsedMs += 4_000) {
      const before = await settled(() => server.seen.produced.get("flood"));
      clock.advance(4_000);
      await vi.waitFor(() => {
        stream.read();
        expect(server.seen.produced.get("flood")).toBeGreaterThan(before);
      });
    }
    expect(server.listener.stats().stalledClients).toBe(0);
    session.destroy();
  });

  it.each(unaryPaths)("is left alone when it has taken its large answer, given by %s", async (by) => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 }, answeredBy: by });
    expect((await evaluation().evaluate({ flagKey: "large" })).variant).toHaveLength(16 * 1024 * 1024);
    await vi.waitFor(() => expect(clock.pending).toBe(0));
  });
});

describe("a client stream over gRPC", () => {
  async function* parts(...comments: string[]) {
    for (const comment of comments) yield { comment };
  }

  it("is answered when the client has ended it", async () => {
    expect(await admin().import(parts("a", "b", "c"))).toMatchObject({ revision: 3n });
    expect(server.seen.imports).toEqual(["part a", "part b", "part c", "complete"]);
  });

  it("may be answered before it is read to its end", async () => {
    expect(await admin().import(parts("a", "enough", "c"))).toMatchObject({ revision: 2n });
  });

  it("ends with the handler's refusal", async () => {
    expect((await failure(admin().import(parts("refuse", "c")))).code).toBe(10);
  });

  it("throws in the handler when the client leaves in the middle, and never takes that for the end", async () => {
    const encode = (comment: string) =>
      Buffer.from(toBinary(ImportRequestSchema, create(ImportRequestSchema, { comment })));
    for (let round = 1; round <= 5; round += 1) {
      const stream = raw.makeClientStreamRequest(
        IMPORT,
        encode,
        (bytes) => bytes,
        () => {},
      );
      stream.write("a");
      await vi.waitFor(() => expect(server.seen.imports.filter((event) => event === "part a")).toHaveLength(round));
      stream.cancel();
      await vi.waitFor(() => expect(server.seen.imports).toHaveLength(2 * round));
    }
    expect(new Set(server.seen.imports)).toEqual(new Set(["part a", "aborted: true"]));
  });

  it("ends when the client pauses for too long", async () => {
    const clock = createManualClock();
    await restart({ clock, limits: { stallTimeoutMs: 5_000 } });
    const paused = async function* () {
      yield { comment: "a" };
      await vi.waitFor(() => expect(server.seen.imports).toContain("part a"));
      await vi.waitFor(() => {
        clock.advance(5_000);
        expect(server.seen.imports).toContain("aborted: false");
      });
    };
    const error = await failure(admin().import(paused()));
    expect(error.code).toBe(4);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "CLIENT_STALLED" }]);
  });
});
