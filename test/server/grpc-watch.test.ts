import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  BulkEvaluateResponseSchema,
  EvaluateResponseSchema,
  EvaluationService,
  ReportUsageResponseSchema,
  type WatchRequest,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason, type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { bindMethods } from "../../src/server/bound-method.js";
import { guardService } from "../../src/server/guard.js";
import {
  type AnswerCursor,
  type Call,
  type ServedService,
  type ServiceHandlers,
  serveService,
} from "../../src/server/handlers.js";
import { createHealthState } from "../../src/server/health.js";
import { type Listener, ListenProblem, openListener } from "../../src/server/listener.js";
import { Refusal } from "../../src/server/refusal.js";
import type { TransportLimits } from "../../src/server/transport.js";
import { watchHandler } from "../../src/server/watch.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { tell } from "../support/stream-tap.js";
import { openGate } from "./open-gate.js";
import { createManualClock, SECRET, toFrame } from "./transport-support.js";

type WatchHandler = ServiceHandlers<typeof EvaluationService>["watch"];

const WATCH = "/flagwire.v1.EvaluationService/Watch";

let clock: ReturnType<typeof createManualClock>;
let hub: WatchHub;
let publisher: Publisher;
let listener: Listener;
let session: ClientHttp2Session;
let log: { readonly msg: string }[];

beforeEach(() => start());
afterEach(() => stop());

const serviceOf = (watch: WatchHandler) =>
  serveService(EvaluationService, {
    evaluate: ({ flagKey }) => create(EvaluateResponseSchema, { flagKey }),
    bulkEvaluate: () => create(BulkEvaluateResponseSchema),
    watchEvaluations: async function* () {},
    reportUsage: () => create(ReportUsageResponseSchema),
    watch,
  });

async function start(
  limits: Partial<TransportLimits> = {},
  watch?: WatchHandler,
  guard: (service: ServedService) => ServedService = (service) => guardService(service, openGate),
): Promise<void> {
  clock = createManualClock();
  hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  log = [];
  const opened = await openListener({
    host: "127.0.0.1",
    port: 0,
    services: [guard(serviceOf(watch ?? watchHandler({ hub })))],
    health: createHealthState(),
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    clock,
    limits,
  });
  if (opened instanceof ListenProblem) throw new Error(opened.message);
  listener = opened;
  session = connectTo();
  // Until the server knows what the connection speaks, a timer of its own is pending.
  await once(session, "remoteSettings");
}

async function stop(): Promise<void> {
  session.destroy();
  await listener.stop(0);
}

async function restart(...options: Parameters<typeof start>): Promise<void> {
  await stop();
  await start(...options);
}

function connectTo(initialWindowSize = 65_535): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${listener.address.port}`, { settings: { initialWindowSize } });
  opened.on("error", () => {});
  return opened;
}

const requestFrame = (request: Partial<WatchRequest> = {}) =>
  toFrame(toBinary(WatchRequestSchema, create(WatchRequestSchema, request as object)));

/** One stream, by bare HTTP/2. Without a frame the request is still to be sent. */
class Stream {
  readonly stream;
  headers: IncomingHttpHeaders = {};
  trailers: IncomingHttpHeaders = {};
  readonly closed: Promise<void>;
  #body = Buffer.alloc(0);

  constructor(frame: Buffer | null = requestFrame(), headers: Record<string, string> = {}, on = session) {
    this.stream = on.request({
      ":path": WATCH,
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    this.stream.on("error", () => {});
    this.stream.on("response", (given) => {
      this.headers = given;
    });
    this.stream.on("trailers", (given) => {
      this.trailers = given;
    });
    this.stream.on("data", (chunk: Buffer) => {
      this.#body = Buffer.concat([this.#body, chunk]);
    });
    this.closed = new Promise((resolve) => this.stream.on("close", () => resolve()));
    if (frame !== null) this.stream.end(frame);
  }

  get messages(): WatchResponse[] {
    const messages: WatchResponse[] = [];
    for (let at = 0; at + 5 <= this.#body.length; ) {
      const end = at + 5 + this.#body.readUInt32BE(at + 1);
      if (end > this.#body.length) break;
      messages.push(fromBinary(WatchResponseSchema, this.#body.subarray(at + 5, end)));
      at = end;
    }
    return messages;
  }

  get status(): unknown {
    return this.trailers["grpc-status"] ?? this.headers["grpc-status"];
  }

  async stories(count: number): Promise<string[]> {
    await vi.waitFor(() => expect(this.messages.length).toBeGreaterThanOrEqual(count), { interval: 5 });
    return this.messages.map(tell);
  }

  async end(): Promise<unknown> {
    await this.closed;
    return this.status;
  }
}

const watchers = (count: number) => vi.waitFor(() => expect(hub.counts().watchers).toBe(count), { interval: 5 });

/** The timers of grpc-js are its own; those on this clock are of streams, and of connections that have not spoken. */
const noTimers = () => vi.waitFor(() => expect(clock.pending).toBe(0), { interval: 5 });

describe("a stream with a cursor", () => {
  it("is answered on its HTTP/2 stream, message by message", async () => {
    const stream = new Stream();
    await stream.stories(1);
    publisher.commit(booleanFlag("b", 2));
    expect(await stream.stories(2)).toEqual(["full[a]@1", "delta[b]@2"]);
    expect(stream.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc+proto" });
    // grpc-js sends it with every answer.
    expect(stream.headers["grpc-encoding"]).toBeUndefined();
  });

  it("is left to grpc-js where it is out of the ordinary, which answers it as ever", async () => {
    const stream = new Stream(requestFrame(), { "content-type": "application/grpc;charset=utf-8" });
    expect(await stream.stories(1)).toEqual(["full[a]@1"]);
    expect(stream.headers["grpc-encoding"]).toBe("identity");
  });

  it("may have its request in any number of parts, and lasts longer than that may", async () => {
    await restart({ unaryTimeoutMs: 1_000 });
    const stream = new Stream(null);
    for (const byte of requestFrame({ clientName: "c" })) {
      await new Promise((resolve) => stream.stream.write(Buffer.from([byte]), resolve));
    }
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    stream.stream.end();
    await stream.stories(1);
    clock.advance(2_000);
    publisher.commit(booleanFlag("b", 2));
    expect(await stream.stories(2)).toEqual(["full[a]@1", "delta[b]@2"]);
  });

  it("ends with OK after the one update that was asked for", async () => {
    const stream = new Stream(requestFrame({ once: true }));
    expect(await stream.end()).toBe("0");
    expect(await stream.stories(1)).toEqual(["full[a]@1"]);
    await watchers(0);
  });

  it("of one update ends with UNAVAILABLE if all that it got is a goodbye", async () => {
    hub.goodbye(GoodbyeReason.SHUTDOWN, 0);
    const stream = new Stream(requestFrame({ once: true }));
    expect(await stream.end()).toBe("14");
    expect(stream.messages.map(tell)).toEqual(["goodbye"]);
  });

  it("ends with a goodbye and UNAVAILABLE when it is recycled", async () => {
    const stream = new Stream();
    await stream.stories(1);
    hub.recycle(1);
    expect(await stream.end()).toBe("14");
    expect(stream.messages.map(tell)).toEqual(["full[a]@1", "goodbye"]);
    expect(stream.trailers["grpc-status-details-bin"]).toBeDefined();
    await noTimers();
  });

  it("ends when the server drains, which waits for that and no longer", async () => {
    const streams = [new Stream(), new Stream()];
    for (const stream of streams) await stream.stories(1);
    hub.goodbye(GoodbyeReason.SHUTDOWN, 1_000);
    // Without a deadline: it would wait for good.
    const stopped = listener.stop(Number.POSITIVE_INFINITY);
    for (const stream of streams) {
      expect(await stream.end()).toBe("14");
      expect(stream.messages.at(-1)?.goodbye?.reason).toBe(GoodbyeReason.SHUTDOWN);
    }
    await stopped;
    expect(hub.counts().watchers).toBe(0);
  });

  it("is let go of when the server is stopped by force", async () => {
    await new Stream().stories(1);
    const stopped = listener.stop(0);
    clock.advance(0);
    await stopped;
    await watchers(0);
    await noTimers();
  });

  it.each([
    ["resets it", ({ stream }: Stream) => stream.close(constants.NGHTTP2_CANCEL)],
    ["resets it with an error", ({ stream }: Stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
    ["loses its connection", () => session.destroy()],
  ])("is let go of when its client %s", async (_, leave) => {
    const streams = [new Stream(), new Stream()];
    for (const stream of streams) await stream.stories(1);
    await watchers(2);
    for (const stream of streams) leave(stream);
    await watchers(0);
    await noTimers();
  });

  it("ends at its client's deadline", async () => {
    const stream = new Stream(requestFrame(), { "grpc-timeout": "5S" });
    await stream.stories(1);
    clock.advance(4_999);
    expect(hub.counts().watchers).toBe(1);
    clock.advance(1);
    expect(await stream.end()).toBe("4");
    await watchers(0);
    await noTimers();
  });

  it("costs one timer for all that wait, and one of the hub's", async () => {
    const streams = Array.from({ length: 20 }, () => new Stream());
    for (const stream of streams) await stream.stories(1);
    await vi.waitFor(() => expect(clock.pending).toBe(2));
    for (const { stream } of streams) stream.close();
    await noTimers();
  });
});

describe("what a stream with a cursor keeps of its request", () => {
  const opened = async (headers: Record<string, string>) => {
    const calls: Call[] = [];
    const seen: (string | undefined)[] = [];
    const watch = watchBy((_request, call) => {
      calls.push(call);
      seen.push(call.header("x-trace"), call.header("authorization"));
      return { next: () => undefined, ended: false, close() {} };
    });
    await restart({}, watch, (served) => served);
    new Stream(requestFrame(), headers);
    await vi.waitFor(() => expect(calls).toHaveLength(1), { interval: 5 });
    return { call: calls[0], seen };
  };

  it("is its token, and no other header once it is open", async () => {
    const { call, seen } = await opened({ "x-trace": "t".repeat(30_000), authorization: "Bearer token" });
    expect(seen).toEqual(["t".repeat(30_000), "Bearer token"]);
    expect([call?.header("x-trace"), call?.header("authorization")]).toEqual([undefined, "Bearer token"]);
  });

  it("is nothing where it has no token", async () => {
    const { call } = await opened({ "x-trace": "1" });
    expect([call?.header("x-trace"), call?.header("authorization")]).toEqual([undefined, undefined]);
  });

  it("is what its client calls itself, which the log tells when that is cut off, on one line and readably", async () => {
    await restart({ stallTimeoutMs: 8_000 });
    session.destroy();
    session = connectTo(0);
    const stream = new Stream(requestFrame({ clientName: "shop\n\u202e2" }));
    await watchers(1);
    for (let seconds = 0; seconds < 8; seconds++) clock.advance(1_000);
    await stream.closed;
    expect(log).toContainEqual(
      expect.objectContaining({ msg: "cut off a client that did not read", clientName: "shop\\n\\u202e2" }),
    );
    await noTimers();
  });
});

describe("a stream with a cursor is refused", () => {
  it.each([
    ["an environment that is not there", requestFrame({ environment: "nowhere" }), {}, "5"],
    ["a name that is too long", requestFrame({ clientName: "c".repeat(257) }), {}, "3"],
    ["a token that is not known", requestFrame(), { authorization: "Bearer x" }, "16"],
    ["bytes that are no request", toFrame(Buffer.from([0xff])), {}, "3"],
    ["a timeout that is none", requestFrame(), { "grpc-timeout": "soon" }, "13"],
    ["a request that ends early", requestFrame({ clientName: "c" }).subarray(0, -1), {}, "12"],
    ["two messages", Buffer.concat([requestFrame(), requestFrame()]), {}, "12"],
  ])("for %s, by headers alone that say why", async (_, frame, headers, status) => {
    const stream = new Stream(frame, headers);
    expect(await stream.end()).toBe(status);
    expect(stream.headers).toMatchObject({ "grpc-status": status });
    expect(stream.headers["grpc-status-details-bin"]).toBeDefined();
    expect([stream.messages, hub.counts().watchers]).toEqual([[], 0]);
    await noTimers();
  });

  it("for a request that is larger than anything that opens a stream, before it has come", async () => {
    const padding = (sizeBytes: number): Buffer => {
      // A field that nobody knows: a tag of two bytes, a length of three, and so many zeros.
      const bytes = Buffer.alloc(sizeBytes);
      const lengthBytes = sizeBytes - 5;
      bytes.set([0x82, 0x7d, 0x80 | (lengthBytes & 0x7f), 0x80 | ((lengthBytes >> 7) & 0x7f), lengthBytes >> 14]);
      return toFrame(bytes);
    };
    const largest = new Stream(padding(65_536));
    expect(await largest.stories(1)).toEqual(["full[a]@1"]);
    largest.stream.close();
    const stream = new Stream(null);
    stream.stream.write(padding(65_537).subarray(0, 100));
    expect(await stream.end()).toBe("8");
    await watchers(0);
    await noTimers();
  });

  it("before its request has come, and is told to stop sending", async () => {
    const stream = new Stream(null);
    stream.stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    expect(await stream.end()).toBe("8");
    expect(stream.stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    await noTimers();
  });

  it("when its request does not come in the server's own time, whatever its client's", async () => {
    await restart({ unaryTimeoutMs: 30_000 });
    for (const headers of [{}, { "grpc-timeout": "9H" }]) {
      const stream = new Stream(null, headers as Record<string, string>);
      stream.stream.write(Buffer.from([0]));
      await vi.waitFor(() => expect(clock.pending).toBe("grpc-timeout" in headers ? 2 : 1));
      clock.advance(30_000);
      expect(await stream.end()).toBe("4");
      await noTimers();
    }
  });
});

/** Gives messages for ever, and counts how often it was asked. */
class Flood implements AnswerCursor<WatchResponse> {
  asked = 0;
  ended = false;
  closed = 0;

  constructor(readonly sizeBytes: number) {}

  next(): WatchResponse {
    this.asked++;
    return create(WatchResponseSchema, {
      items: [{ kind: { case: "deletedFlagKey", value: "k".repeat(this.sizeBytes) } }],
    });
  }

  close(): void {
    this.closed++;
  }
}

/** A handler whose streams are this cursor. */
const watchBy = (open: (request: WatchRequest, call: Call) => AnswerCursor<WatchResponse> | Refusal): WatchHandler =>
  Object.assign(
    async function* (): AsyncGenerator<Refusal> {
      yield new Refusal("UNIMPLEMENTED", "NOT_HERE", "not in this test");
    },
    { open },
  );

const evaluate = (on: ClientHttp2Session) =>
  new Promise<void>((resolve, reject) => {
    const stream = on.request({
      ":path": WATCH.replace("Watch", "Evaluate"),
      ":method": "POST",
      "content-type": "application/grpc",
    });
    stream.on("error", reject);
    stream.on("trailers", (trailers) => expect(trailers["grpc-status"]).toBe("0"));
    stream
      .on("close", resolve)
      .resume()
      .end(toFrame(Buffer.alloc(0)));
  });

describe("a client that does not read a stream with a cursor", () => {
  it("is asked about one message at a time, the next when it has taken the last", async () => {
    const flood = new Flood(100);
    await restart(
      {},
      watchBy(() => flood),
    );
    session.destroy();
    session = connectTo(0);
    new Stream();
    await vi.waitFor(() => expect(flood.asked).toBe(1));
    for (let turn = 0; turn < 5; turn++) await evaluate(connectTo());
    expect(flood.asked).toBe(1);
    session.settings({ initialWindowSize: 65_535 });
    await vi.waitFor(() => expect(flood.asked).toBeGreaterThan(10));
  });

  it("is cut off with its connection, counted and logged once, and others never notice", async () => {
    await restart({ stallTimeoutMs: 8_000 });
    const reading = connectTo();
    const other = new Stream(requestFrame(), {}, reading);
    await other.stories(1);
    session.destroy();
    session = connectTo(0);
    const stalled = [new Stream(), new Stream()];
    await watchers(3);
    clock.advance(7_000);
    await evaluate(reading);
    expect(listener.stats().stalledClients).toBe(0);
    clock.advance(1_000);
    for (const stream of stalled) await stream.closed;
    await watchers(1);
    expect(session.destroyed).toBe(true);
    expect(listener.stats()).toMatchObject({ stalledClients: 1, connections: { grpc: 1 } });
    expect(log).toContainEqual(
      expect.objectContaining({ method: "flagwire.v1.EvaluationService/Watch", stallTimeoutMs: 8_000 }),
    );
    publisher.commit(booleanFlag("b", 2));
    expect(await other.stories(2)).toEqual(["full[a]@1", "delta[b]@2"]);
    await evaluate(reading);
    reading.destroy();
    await noTimers();
  });

  it("is left alone while nothing is sent to it, however long", async () => {
    await restart({ stallTimeoutMs: 8_000 });
    const stream = new Stream();
    await stream.stories(1);
    for (let seconds = 0; seconds < 9; seconds++) {
      clock.advance(1_000);
      await evaluate(session);
    }
    clock.advance(6_000);
    await stream.stories(2);
    clock.advance(8_000);
    expect([listener.stats().stalledClients, hub.counts().watchers]).toEqual([0, 1]);
  });

  it("is let go of when it leaves in the middle of a message, and its cursor is closed once", async () => {
    const flood = new Flood(200_000);
    await restart(
      {},
      watchBy(() => flood),
    );
    const { stream } = new Stream();
    stream.pause();
    await vi.waitFor(() => expect(flood.asked).toBe(1));
    stream.close(constants.NGHTTP2_CANCEL);
    await vi.waitFor(() => expect(flood.closed).toBe(1));
    await noTimers();
  });

  it("does not keep its stream for good by not taking its end", async () => {
    await restart({ stallTimeoutMs: 8_000 });
    session.destroy();
    session = connectTo(0);
    const stream = new Stream(requestFrame(), { "grpc-timeout": "1S" });
    await watchers(1);
    clock.advance(1_000);
    await watchers(0);
    for (let seconds = 0; seconds < 8; seconds++) clock.advance(1_000);
    await stream.closed;
    expect(listener.stats().stalledClients).toBe(1);
    await noTimers();
  });
});

describe("a cursor that fails", () => {
  const failing = {
    "at once": () => {
      throw new Error(SECRET);
    },
    "when it is asked": () => ({
      ...new Flood(1),
      next() {
        throw new Error(SECRET);
      },
      close() {},
    }),
    "with what is no message": () => ({
      ...new Flood(1),
      next: () => create(WatchResponseSchema, { heartbeat: 5 as never }),
      close() {},
    }),
  };

  it.each(Object.entries(failing))(
    "%s ends its stream INTERNAL without the cause, which is logged",
    async (_, open) => {
      await restart({}, watchBy(open));
      const stream = new Stream();
      expect(await stream.end()).toBe("13");
      expect(JSON.stringify(stream.headers)).not.toContain("hunter2");
      expect(log).toContainEqual(expect.objectContaining({ msg: "handler failed" }));
      await noTimers();
    },
  );
});

it("only those who may call have a cursor opened for them", () => {
  let opened = 0;
  const served = serviceOf(
    watchBy(() => {
      opened++;
      return new Flood(1);
    }),
  );
  const bound = bindMethods(guardService(served, openGate)).find(({ kind }) => kind === "server_streaming");
  if (bound?.kind !== "server_streaming") throw new Error("Watch streams");
  const open = (authorization: string | undefined) =>
    bound.open?.(
      create(WatchRequestSchema),
      { signal: new AbortController().signal, peer: "test", header: () => authorization },
      () => {},
    );
  expect(open("Bearer token")).toBeInstanceOf(Refusal);
  expect(opened).toBe(0);
  expect(open(undefined)).not.toBeInstanceOf(Refusal);
  expect(opened).toBe(1);
});
