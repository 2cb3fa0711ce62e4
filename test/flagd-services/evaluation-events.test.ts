import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as v1 from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import {
  EventStreamRequestSchema,
  type EventStreamResponse,
  EventStreamResponseSchema,
  Service,
} from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { changeEvents } from "../../src/server/flagd/change-events.js";
import { eventStreamHandler } from "../../src/server/flagd/event-stream.js";
import { FollowedSnapshots, NO_SNAPSHOTS } from "../../src/server/flagd/followed-snapshots.js";
import { type AnswerCursor, isEncoded } from "../../src/server/handlers.js";
import { isRefusal } from "../../src/server/refusal.js";
import { Head } from "../../src/server/state/head.js";
import { createMemoryUsageLedger } from "../../src/server/usage/memory-usage-ledger.js";
import { createWatchHub } from "../../src/watch/index.js";
import { flag, segment, serve, snapshotOf } from "../engine/build.js";
import { callByHttp2 } from "../server/transport-support.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { enabled, eventually, flagOf, ON_OFF } from "./evaluation-support.js";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

let flags = 0;

/** Creates a flag of its own for a test. */
async function createFlag(variants: Parameters<typeof flagOf>[1] = ON_OFF): Promise<string> {
  const key = `flag-${++flags}`;
  const [first = ""] = Object.keys(variants);
  await server.admin.createFlag({ flag: flagOf(key, variants), targeting: enabled(first) });
  return key;
}

const HOUR_MS = 3_600_000;

/**
 * What a stream of this server's state tells, read as a transport does, with a clock of its own: an hour on, when nothing has
 * changed lately.
 */
async function openStream(headers: Record<string, string> = {}, clock = new VirtualClock(Date.now() + HOUR_MS)) {
  const hub = createWatchHub({ clock: systemClock, random: systemRandom });
  const head = await Head.open(server.store, hub);
  const usage = createMemoryUsageLedger(systemClock);
  const handler = eventStreamHandler(
    { head, hub, clock, usage },
    new FollowedSnapshots(head),
    EventStreamResponseSchema,
  );
  const call = { peer: "", header: (name: string) => headers[name], signal: new AbortController().signal };
  let calls = 0;
  const cursor = handler.open?.(create(EventStreamRequestSchema), call, () => void calls++);
  if (cursor === undefined || isRefusal(cursor)) throw new Error("refused");
  opened.push(cursor, head);
  const told = () => readAll(cursor);
  return {
    clock,
    head,
    told,
    calls: () => calls,
    /** What it tells of a change, when it is called for it. */
    async after(change: () => Promise<unknown>): Promise<unknown[]> {
      const before = calls;
      await change();
      await eventually(() => calls).toBeGreaterThan(before);
      return told();
    },
  };
}

/** What there is to send, up to an end: events, or the code of a refusal. */
function readAll(cursor: AnswerCursor<Message>): unknown[] {
  const told: unknown[] = [];
  for (let answer = cursor.next(); answer !== undefined; answer = cursor.next()) {
    if (isRefusal(answer)) return [...told, answer.code];
    const bytes = isEncoded(answer) ? answer.bytes : toBinary(EventStreamResponseSchema, answer as EventStreamResponse);
    const { type, data } = fromBinary(EventStreamResponseSchema, bytes);
    told.push(data === undefined ? type : { [type]: data.flags });
  }
  return told;
}

const update = (key: string, variant: string, environment = "production") =>
  server.admin.updateTargeting({ environment, targeting: { flagKey: key, ...enabled(variant) } });

describe("a stream", () => {
  test("is ready at once, and then tells what is created, changed and deleted", async () => {
    const stream = await openStream();
    expect(stream.told()).toEqual(["provider_ready"]);
    let key = "";
    const created = await stream.after(async () => {
      key = await createFlag();
    });
    expect(created).toEqual([{ configuration_change: { [key]: { type: "write" } } }]);
    expect(await stream.after(() => update(key, "off"))).toEqual([
      { configuration_change: { [key]: { type: "update" } } },
    ]);
    expect(await stream.after(() => server.admin.deleteFlag({ key }))).toEqual([
      { configuration_change: { [key]: { type: "delete" } } },
    ]);
  });

  test("tells of flags that answer differently because of a segment or a prerequisite", async () => {
    const key = await createFlag();
    const dependent = await createFlag();
    const member = await createFlag();
    await server.admin.createSegment({ segment: { key: "staff", included: ["u"] } });
    const prerequisites = [{ flagKey: key, variants: ["on"] }];
    await server.admin.updateTargeting({ targeting: { flagKey: dependent, ...enabled("on"), prerequisites } });
    const condition = { kind: { case: "segment" as const, value: "staff" } };
    const rules = [{ id: "staff", condition, serve: serve("on") }];
    await server.admin.updateTargeting({ targeting: { flagKey: member, ...enabled("off"), rules } });
    const stream = await openStream();
    stream.told();
    const types = { [key]: { type: "update" }, [dependent]: { type: "update" } };
    expect(await stream.after(() => update(key, "off"))).toEqual([{ configuration_change: types }]);
    const grow = () => server.admin.updateSegment({ segment: { key: "staff", included: ["u", "v"] } });
    expect(await stream.after(grow)).toEqual([{ configuration_change: { [member]: { type: "update" } } }]);
  });

  test("tells what changes in any environment, unless it names one", async () => {
    const key = await createFlag();
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const everywhere = await openStream();
    const production = await openStream({ "flagd-selector": "flagSetId=production" });
    const staging = await openStream({ "flagwire-environment": "staging" });
    for (const stream of [everywhere, production, staging]) stream.told();
    const change = { configuration_change: { [key]: { type: "update" } } };
    expect(await everywhere.after(() => update(key, "off", "staging"))).toEqual([change]);
    await eventually(() => staging.calls()).toBe(1);
    expect(staging.told()).toEqual([change]);
    await eventually(() => production.calls()).toBe(1);
    expect(production.told()).toEqual([]);
  });

  test("skips what came between, and says nothing of what is as it was", async () => {
    const key = await createFlag();
    const other = await createFlag();
    const stream = await openStream();
    stream.told();
    await update(key, "off");
    await update(other, "off");
    await server.admin.createFlag({ flag: flagOf("short-lived", ON_OFF) });
    const { revision } = await server.admin.deleteFlag({ key: "short-lived" });
    await stream.head.reached(revision);
    const types = { [key]: { type: "update" }, [other]: { type: "update" } };
    expect(stream.told()).toEqual([{ configuration_change: types }]);
    const environment = { name: "production", description: "where customers are" };
    expect(await stream.after(() => server.admin.updateEnvironment({ environment }))).toEqual([]);
  });

  test("breaks a silence of 20 s, whatever else happens", async () => {
    const stream = await openStream();
    expect(stream.told()).toEqual(["provider_ready"]);
    await stream.clock.advance(19_000);
    expect(stream.told()).toEqual([]);
    await stream.clock.advance(1_000);
    expect(stream.told()).toEqual(["keep_alive"]);
    await stream.clock.advance(15_000);
    const key = await createFlag();
    await eventually(() => stream.calls()).toBe(2);
    expect(stream.told()).toEqual([{ configuration_change: { [key]: { type: "write" } } }]);
    await stream.clock.advance(15_000);
    expect(stream.told()).toEqual([]);
    await stream.clock.advance(5_000);
    expect(stream.told()).toEqual(["keep_alive"]);
  });

  test("that opens is told what changed lately, for who had none meanwhile and cached", async () => {
    const [changed, deleted] = [await createFlag(), await createFlag()];
    await server.admin.deleteFlag({ key: deleted });
    const stream = await openStream({}, new VirtualClock(Date.now()));
    const flags = { [changed]: { type: "update" }, [deleted]: { type: "delete" } };
    expect(stream.told()).toEqual(["provider_ready", { configuration_change: expect.objectContaining(flags) }]);
    expect(stream.told()).toEqual([]);
  });

  test("of an environment that is deleted drops its flags, and ends", async () => {
    const key = await createFlag();
    await server.admin.createEnvironment({ environment: { name: "brief" } });
    const stream = await openStream({ "flagd-selector": "brief" });
    const everywhere = await openStream();
    for (const one of [stream, everywhere]) one.told();
    const told = await stream.after(() => server.admin.deleteEnvironment({ name: "brief" }));
    expect(told).toEqual([
      { configuration_change: expect.objectContaining({ [key]: { type: "delete" } }) },
      "NOT_FOUND",
    ]);
    await eventually(() => everywhere.calls()).toBe(1);
    const others = expect.objectContaining({ [key]: { type: "update" } });
    expect(everywhere.told()).toEqual([{ configuration_change: others }]);
  });

  test("that is closed holds no timer", async () => {
    const stream = await openStream();
    stream.told();
    expect(stream.clock.pendingTimers).toBe(1);
    for (const one of opened.splice(0)) await one.close();
    expect(stream.clock.pendingTimers).toBe(0);
  });
});

test("many flags are told in several events, each of which fits a message", () => {
  const long = (index: number) => `${"k".repeat(120)}-${index}`;
  const keys = Array.from({ length: 9_000 }, (_, index) => long(index));
  const after = new Map([["production", snapshotOf(segment("s"), ...keys.map((key) => flag(key)))]]);
  const events = changeEvents(NO_SNAPSHOTS, after);
  const told = events.flatMap(({ data }) => Object.keys(data?.flags ?? {}));
  expect(told).toEqual([...keys].sort());
  for (const event of events) expect(event.as(EventStreamResponseSchema).sizeBytes).toBeLessThan(1_048_576);
  expect(changeEvents(NO_SNAPSHOTS, after)).toBe(events);
});

describe("over the wire", () => {
  const http1 = (address: string) => ({ httpVersion: "1.1", baseUrl: `http://${address}` }) as const;
  const transports: [string, (address: string) => Transport][] = [
    ["gRPC", (address) => createGrpcTransport({ baseUrl: `http://${address}` })],
    ["Connect in binary", (address) => createConnectTransport({ ...http1(address), useBinaryFormat: true })],
    ["Connect in JSON", (address) => createConnectTransport({ ...http1(address), useBinaryFormat: false })],
    ["gRPC-Web", (address) => createGrpcWebTransport(http1(address))],
  ];

  test.each(transports)("by %s it is told of a change, and of a server that shuts down", async (_name, transport) => {
    await using other = await openTestServer();
    for (const service of [Service, v1.Service] as const) {
      const left = new AbortController();
      const events = createClient(service, transport(other.address)).eventStream({}, { signal: left.signal });
      const stream = events[Symbol.asyncIterator]();
      expect((await stream.next()).value).toMatchObject({ type: "provider_ready" });
      const lately = { [`flag-${Service.typeName}`]: { type: "update" } };
      if (service === v1.Service) expect((await stream.next()).value).toMatchObject({ data: { flags: lately } });
      const key = `flag-${service.typeName}`;
      await other.admin.createFlag({ flag: flagOf(key, ON_OFF), targeting: enabled("on") });
      const flags = { [key]: { type: "write" } };
      expect((await stream.next()).value).toMatchObject({ type: "configuration_change", data: { flags } });
      if (service !== v1.Service) {
        left.abort();
        continue;
      }
      const stopped = other.stop();
      expect((await stream.next()).value).toMatchObject({ type: "provider_shutdown" });
      const end = await stream.next().catch((thrown: unknown) => thrown);
      expect(end instanceof ConnectError && Code[end.code]).toBe("Unavailable");
      await stopped;
    }
  });

  test("a deadline ends it with DEADLINE_EXCEEDED", async () => {
    const request = toBinary(EventStreamRequestSchema, create(EventStreamRequestSchema));
    const path = "/flagd.evaluation.v2.Service/EventStream";
    const { session, stream } = callByHttp2(`http://${server.address}`, path, request, { "grpc-timeout": "100m" });
    const status = await new Promise((resolve) => {
      stream.on("trailers", (trailers) => resolve(trailers["grpc-status"]));
      stream.resume();
    });
    session.destroy();
    expect(status).toBe("4");
  });
});
