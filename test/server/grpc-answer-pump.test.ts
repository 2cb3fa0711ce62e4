import { EventEmitter } from "node:events";
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { pino } from "pino";
import { expect, it, vi } from "vitest";
import {
  BulkEvaluateResponseSchema,
  EvaluateResponseSchema,
  EvaluationService,
  ReportUsageResponseSchema,
  WatchRequestSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { bindMethods } from "../../src/server/bound-method.js";
import { serverStreamHandler } from "../../src/server/grpc/answer-pump.js";
import type { GrpcHost } from "../../src/server/grpc/grpc-call.js";
import { serveService } from "../../src/server/handlers.js";
import { CallMeters } from "../../src/server/metrics/call-meters.js";
import { CallObservers } from "../../src/server/observe/call-observers.js";
import { defaultTransportLimits } from "../../src/server/transport.js";
import { createManualClock } from "./transport-support.js";

it("a stream of grpc-js's ends when what was written is not taken in time, whatever becomes of its connection", async () => {
  let isCleanedUp = false;
  const served = serveService(EvaluationService, {
    evaluate: () => create(EvaluateResponseSchema),
    bulkEvaluate: () => create(BulkEvaluateResponseSchema),
    async *watch() {
      try {
        for (;;) yield create(WatchResponseSchema);
      } finally {
        isCleanedUp = true;
      }
    },
    async *watchEvaluations() {},
    reportUsage: () => create(ReportUsageResponseSchema),
  });
  const bound = bindMethods(served).find(({ method }) => method.localName === "watch");
  if (bound?.kind !== "server_streaming") throw new Error("Watch is a stream");
  const clock = createManualClock();
  const cutOff = vi.fn<GrpcHost["cutOff"]>();
  const host: GrpcHost = {
    limits: { ...defaultTransportLimits, stallTimeoutMs: 5_000 },
    clock,
    log: pino({ level: "silent" }),
    observers: new CallObservers(new CallMeters(clock), { host: "127.0.0.1", port: 0 }),
    cutOff,
    reportStalled: () => undefined,
  };
  // What grpc-js makes of a client that left before its request was read: nobody calls back, and nothing is said any more.
  const gone = Object.assign(new EventEmitter(), {
    request: create(WatchRequestSchema),
    metadata: new Metadata(),
    getPeer: () => "unknown",
    getDeadline: () => Number.POSITIVE_INFINITY,
    getAuthContext: () => ({}),
    write: () => false,
  });
  const handle = serverStreamHandler(bound, bound.handle, host);
  handle(gone as unknown as Parameters<typeof handle>[0]);
  await vi.waitFor(() => expect(clock.pending).toBe(1));
  clock.advance(4_999);
  expect([isCleanedUp, cutOff.mock.calls.length]).toEqual([false, 0]);
  clock.advance(1);
  await vi.waitFor(() => expect(isCleanedUp).toBe(true));
  expect(cutOff.mock.calls.length).toBe(1);
});
