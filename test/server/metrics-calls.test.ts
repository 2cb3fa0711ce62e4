import { once } from "node:events";
import { connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EvaluateRequestSchema, WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { CallMeters } from "../../src/server/metrics/call-meters.js";
import type { MetricSample } from "../../src/server/metrics/metric-report.js";
import { openTestServer, type TestServer, toFrame } from "./transport-support.js";

const EVALUATE = "flagwire.v1.EvaluationService/Evaluate";
const WATCH = "flagwire.v1.EvaluationService/Watch";

describe.each(["stream", "grpc-js"] as const)("calls answered by %s", (answeredBy) => {
  let meters: CallMeters;
  let server: TestServer;

  beforeEach(async () => {
    meters = new CallMeters(systemClock);
    server = await openTestServer({ answeredBy, meters });
  });
  afterEach(() => server.listener.stop(0));

  function samples(name: string): readonly MetricSample[] {
    return meters.families().find((family) => family.name === name)?.samples ?? [];
  }

  function ended(): Record<string, number> {
    return Object.fromEntries(samples("flagwire_calls_total").map(({ labels, value }) => [labels.code, value]));
  }

  function inFlight(): number {
    return samples("flagwire_calls_in_flight").reduce((sum, { value }) => sum + value, 0);
  }

  /** Begins a call, and does something to its stream. */
  function begin(act: (stream: ReturnType<ReturnType<typeof connect>["request"]>) => void): () => void {
    const session = connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${EVALUATE}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    session.on("error", () => undefined);
    act(stream);
    return () => session.destroy();
  }

  function requestFor(flagKey: string): Buffer {
    return toFrame(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey })));
  }

  it("are over when their client leaves while they are handled", async () => {
    const leave = begin((stream) => stream.end(requestFor("never")));
    await expect.poll(inFlight).toBe(1);
    leave();
    await expect.poll(ended).toEqual({ CANCELLED: 1 });
    expect(inFlight()).toBe(0);
  });

  it("are counted once, with what they were answered", async () => {
    const total = () => Object.values(ended()).reduce((sum, count) => sum + count, 0);
    for (const [index, key] of ["later", "throws", "refused"].entries()) {
      const close = begin((stream) => stream.end(requestFor(key)).resume());
      await expect.poll(total).toBe(index + 1);
      close();
    }
    await expect.poll(ended).toEqual({ OK: 1, INTERNAL: 1, INVALID_ARGUMENT: 1 });
    expect(
      samples("flagwire_call_duration_seconds").find(({ metricName }) => metricName?.endsWith("_count"))?.value,
    ).toBe(3);
  });
});

describe("a call by grpc-js whose time was over before its client had asked", () => {
  it.each([EVALUATE, WATCH])("is over at once: %s", async (method) => {
    const meters = new CallMeters(systemClock);
    const server = await openTestServer({ answeredBy: "grpc-js", meters });
    const session = connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "1m",
    });
    stream.on("error", () => undefined);
    const isWatch = method === WATCH;
    const watch = toBinary(WatchRequestSchema, create(WatchRequestSchema, { clientName: "parked" }));
    const evaluate = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "never" }));
    stream.write(toFrame(isWatch ? watch : evaluate));
    await once(stream, "response");
    stream.close(constants.NGHTTP2_CANCEL);
    const ended = () => meters.families().find(({ name }) => name === "flagwire_calls_total")?.samples ?? [];
    await expect.poll(() => ended().map(({ labels }) => labels.code)).toEqual(["DEADLINE_EXCEEDED"]);
    session.destroy();
    await server.listener.stop(0);
  });
});

describe("calls on their own streams", () => {
  it.each(["leaves", "is cut off"])("are over when their client %s before it has asked", async (way) => {
    const meters = new CallMeters(systemClock);
    const server = await openTestServer({ meters });
    const socket = connectTcp(server.listener.address.port, "127.0.0.1");
    const session = connect(server.url, { createConnection: () => socket });
    session.on("error", () => undefined);
    const stream = session.request({ ":method": "POST", ":path": `/${EVALUATE}`, "content-type": "application/grpc" });
    stream.on("error", () => undefined);
    stream.write(Buffer.from([0]));
    const family = (name: string) => meters.families().find((found) => found.name === name)?.samples ?? [];
    await expect.poll(() => family("flagwire_calls_in_flight")[0]?.value).toBe(1);
    if (way === "leaves") session.destroy();
    else socket.resetAndDestroy();
    await expect.poll(() => family("flagwire_calls_in_flight")[0]?.value).toBe(0);
    expect(family("flagwire_calls_total").map(({ labels }) => labels.code)).toEqual(["CANCELLED"]);
    await server.listener.stop(0);
  });
});

describe("what is logged of a call", () => {
  it.each(["stream", "grpc-js"] as const)("has the id that its error is answered with, by %s", async (answeredBy) => {
    const server = await openTestServer({ answeredBy });
    const session = connect(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${EVALUATE}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const told = new Promise<unknown>((resolve) => {
      const look = (headers: Record<string, unknown>) => {
        if (headers["x-request-id"] !== undefined) resolve(headers["x-request-id"]);
      };
      stream.on("response", look);
      stream.on("trailers", look);
    });
    stream.end(toFrame(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "throws" })))).resume();
    const id = await told;
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(server.log.filter(({ msg }) => msg === "handler failed").map(({ requestId }) => requestId)).toEqual([id]);
    session.destroy();
    await server.listener.stop(0);
  });

  it("has it over HTTP/1.1, too", async () => {
    const server = await openTestServer();
    const response = await fetch(`${server.url}/${EVALUATE}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-request-id": "mine" },
      body: JSON.stringify({ flagKey: "throws" }),
    });
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(server.log.filter(({ msg }) => msg === "handler failed")).toMatchObject([{ requestId: "mine" }]);
    await server.listener.stop(0);
  });
});
