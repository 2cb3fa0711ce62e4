import { connect, type OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { expect, vi } from "vitest";
import {
  AdminService,
  ExportResponseSchema,
  type ImportRequest,
  ImportResponseSchema,
} from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  BulkEvaluateResponseSchema,
  type EvaluateRequest,
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationService,
  ReportUsageResponseSchema,
  type WatchRequest,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, systemClock } from "../../src/base/index.js";
import { guardService } from "../../src/server/guard.js";
import { type AnswerStream, type Call, type ServedService, serveService } from "../../src/server/handlers.js";
import { createHealthState, type HealthState } from "../../src/server/health.js";
import { type Listener, ListenProblem, openListener } from "../../src/server/listener.js";
import type { CallMeters } from "../../src/server/metrics/call-meters.js";
import { type OrRefusal, Refusal } from "../../src/server/refusal.js";
import type { CallTracing } from "../../src/server/tracing/call-tracing.js";
import type { TransportLimits } from "../../src/server/transport.js";
import { openGate } from "./open-gate.js";

/** What the handlers of the test service saw. */
export interface Seen {
  /** Streams whose `finally` ran, by client name. */
  readonly cleanups: string[];
  /** Why calls were aborted, by what their signal says. */
  readonly aborts: string[];
  /** How many messages each flood has produced, by client name. */
  readonly produced: Map<string, number>;
  /** How imports ended. */
  readonly imports: string[];
  readonly peers: string[];
  /** Unknown fields of requests for the flag "kept": like all bytes of a message, views of what it was decoded from. */
  readonly kept: Uint8Array[];
}

export interface TestServer {
  readonly listener: Listener;
  readonly health: HealthState;
  readonly url: string;
  readonly seen: Seen;
  /** Lines of the log. */
  readonly log: { readonly level: number; readonly msg: string; readonly [key: string]: unknown }[];
}

export const SECRET = "password hunter2";

export async function openTestServer(
  options: {
    readonly limits?: Partial<TransportLimits>;
    readonly clock?: Clock;
    readonly host?: string;
    readonly answeredBy?: "stream" | "grpc-js";
    readonly meters?: CallMeters;
    readonly tracing?: CallTracing;
  } = {},
): Promise<TestServer> {
  const seen: Seen = { cleanups: [], aborts: [], produced: new Map(), imports: [], peers: [], kept: [] };
  const log: TestServer["log"] = [];
  const health = createHealthState();
  health.set("serving");
  const listener = await openListener({
    host: options.host ?? "127.0.0.1",
    port: 0,
    services: [evaluationService(seen), adminService(seen)].map((service) => guardService(service, openGate)),
    health,
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    clock: options.clock ?? systemClock,
    limits: options.limits ?? {},
    answeredBy: options.answeredBy ?? "stream",
    ...(options.meters === undefined ? {} : { meters: options.meters }),
    tracing: options.tracing,
  });
  if (listener instanceof ListenProblem) throw new Error(listener.message);
  return { listener, health, url: `http://127.0.0.1:${listener.address.port}`, seen, log };
}

function evaluationService(seen: Seen): ServedService {
  return serveService(EvaluationService, {
    evaluate: (request, call) => evaluate(request, call, seen),
    bulkEvaluate: () => create(BulkEvaluateResponseSchema, { revision: 7n }),
    watch: (request, call) => watch(request, call, seen),
    watchEvaluations: async function* () {},
    reportUsage: () => create(ReportUsageResponseSchema),
  });
}

/** The flag's key says what to do. */
function evaluate(
  request: EvaluateRequest,
  call: Call,
  seen: Seen,
): OrRefusal<EvaluateResponse> | Promise<OrRefusal<EvaluateResponse>> {
  const variant = call.header("x-variant") ?? "";
  const answer = create(EvaluateResponseSchema, { flagKey: request.flagKey, variant, reason: "STATIC", revision: 7n });
  switch (request.flagKey) {
    case "later":
      return Promise.resolve(answer);
    case "some turns later":
      return afterTurns(10).then(() => answer);
    case "peer":
      seen.peers.push(call.peer);
      return answer;
    case "kept":
      for (const { data } of request.$unknown ?? []) seen.kept.push(data);
      return answer;
    case "refused":
      return refused(2);
    case "refused at length":
      return refused(2_000);
    case "refused oddly":
      return new Refusal("NOT_FOUND", "ODD", "half a surrogate \ud800, a line\nfeed and 100 %");
    case "refused with long texts":
      return new Refusal("NOT_FOUND", "LONG", "😀".repeat(500_000), {
        metadata: { long: "€".repeat(500_000), whole: "k".repeat(256) },
        violations: [{ field: `context.attributes[${"x".repeat(500_000)}]`, description: "is long" }],
      });
    case "refused with much metadata":
      return new Refusal("NOT_FOUND", "MUCH", "nothing", {
        metadata: Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`key-${i}`, "v".repeat(100)])),
      });
    case "throws":
      throw new Error(SECRET);
    case "rejects":
      return Promise.reject(new Error(SECRET));
    case "malformed":
      // The first has no JSON form, the second no binary one.
      return {
        ...answer,
        value: create(ValueSchema, { kind: { case: "numberValue", value: Number.NaN } }),
        revision: "seven" as unknown as bigint,
      };
    case "large":
      seen.peers.push(call.peer);
      return { ...answer, variant: "x".repeat(16 * 1024 * 1024) };
    case "never":
      seen.peers.push(call.peer);
      return new Promise(() => call.signal.addEventListener("abort", () => seen.aborts.push(reasonOf(call))));
    default:
      return answer;
  }
}

async function afterTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function refused(violationCount: number): Refusal {
  const violations = Array.from({ length: violationCount }, (_, i) => ({
    field: `flag.variants[${i}]`,
    description: "has another type",
  }));
  return new Refusal("INVALID_ARGUMENT", "FLAG_INVALID", "the flag is not valid", {
    violations,
    metadata: { key: "k" },
    retryAfterMs: 1_500,
  });
}

const reasonOf = (call: Call): string => (call.signal.reason as Refusal).code;

/** The client's name says what to do. */
async function* watch({ clientName }: WatchRequest, call: Call, seen: Seen): AnswerStream<WatchResponse> {
  call.clientName = clientName;
  const message = create(WatchResponseSchema, { heartbeat: { position: { epoch: "e", revision: 1n } } });
  try {
    if (clientName === "throws at once") throw new Error(SECRET);
    if (clientName.startsWith("flood")) yield* flood(clientName, call, seen);
    else if (clientName === "encoded") yield { message, bytes: toBinary(WatchResponseSchema, message) };
    else yield message;
    if (clientName === "refused") yield new Refusal("UNAVAILABLE", "BYE", "come back", { retryAfterMs: 250 });
    if (clientName === "throws") throw new Error(SECRET);
    if (clientName === "malformed") yield { ...message, heartbeat: 5 as never };
    if (clientName === "parked") await aborted(call);
    if (call.signal.aborted) seen.aborts.push(reasonOf(call));
  } finally {
    seen.cleanups.push(clientName);
  }
}

async function* flood(clientName: string, call: Call, seen: Seen): AsyncGenerator<WatchResponse> {
  const items = Array.from({ length: 64 }, () => ({
    kind: { case: "deletedFlagKey" as const, value: "k".repeat(1_024) },
  }));
  for (let count = 1; !call.signal.aborted; count += 1) {
    seen.produced.set(clientName, count);
    yield create(WatchResponseSchema, { items });
  }
}

export function aborted(call: Call): Promise<void> {
  return new Promise((resolve) => {
    if (call.signal.aborted) resolve();
    else call.signal.addEventListener("abort", () => resolve());
  });
}

function adminService(seen: Seen): ServedService {
  const others = AdminService.methods.map((method) => [
    method.localName,
    () => new Refusal("UNIMPLEMENTED", "NOT_HERE", "not in this test"),
  ]);
  return {
    service: AdminService,
    handlers: {
      ...Object.fromEntries(others),
      async import(requests: AsyncIterable<ImportRequest>, call: Call) {
        let count = 0;
        try {
          for await (const request of requests) {
            count += 1;
            seen.imports.push(`part ${request.comment}`);
            if (request.comment === "enough") break;
            if (request.comment === "refuse") return new Refusal("ABORTED", "REVISION_CONFLICT", "too late");
          }
        } catch (thrown) {
          seen.imports.push(`aborted: ${call.signal.aborted}`);
          throw thrown;
        }
        seen.imports.push("complete");
        return create(ImportResponseSchema, { revision: BigInt(count) });
      },
      async *export() {
        yield create(ExportResponseSchema, { revision: 1n });
        yield create(ExportResponseSchema, { revision: 2n });
      },
    } as ServedService["handlers"],
  };
}

/** A gRPC call by bare HTTP/2, whose answer is not read unless the caller does. */
export function callByHttp2(
  url: string,
  path: string,
  message: Uint8Array,
  metadata: OutgoingHttpHeaders = {},
  frame = toFrame(message),
) {
  const session = connect(url);
  session.on("error", () => {});
  const stream = session.request({
    ":path": path,
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
    ...metadata,
  });
  stream.on("error", () => {});
  stream.end(frame);
  return { session, stream };
}

/** A message as gRPC frames it. */
export function toFrame(message: Uint8Array, compressed = false): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** Resolves when a number has stopped growing. */
export async function settled(read: () => number | undefined): Promise<number> {
  let last: number | undefined;
  let same = 0;
  await vi.waitFor(() => {
    const now = read();
    same = now !== undefined && now === last ? same + 1 : 0;
    last = now;
    expect(same).toBeGreaterThan(4);
  }, 10_000);
  return last ?? 0;
}

/** A clock that moves when it is told to. */
export function createManualClock(): Clock & { advance(ms: number): void; readonly pending: number } {
  let nowMs = 0;
  const timers = new Set<{ readonly at: number; readonly action: () => void }>();
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, action) {
      const timer = { at: nowMs + delayMs, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      nowMs += ms;
      for (const timer of [...timers].sort((a, b) => a.at - b.at)) {
        if (timer.at <= nowMs && timers.delete(timer)) timer.action();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}
