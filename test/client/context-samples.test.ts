import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReportUsageRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Context, type Mirror, type MirrorOptions, openMirror, TransportError } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { environmentState } from "../engine/build.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";
import { CountingTransport } from "./counting-transport.js";

let clock: VirtualClock;
let publisher: Publisher;
let transport: CountingTransport;
let mirror: Mirror;

beforeEach(() => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  transport = new CountingTransport(hub);
  transport.wantedContexts = 50;
});

afterEach(() => mirror.close());

/** With this chance it reports every minute sharp. It has reported once, so it knows what the server wants. */
async function open(options: MirrorOptions = {}): Promise<void> {
  mirror = await openMirror({ transport, clock, random: () => 0.5, ...options });
  await report();
  transport.reports.splice(0);
}

function ask(context?: Context): void {
  mirror.boolean("a", false, context);
}

/** The contexts that the next report carries. */
async function report(): Promise<Context[]> {
  ask({ targetingKey: "last" });
  await clock.advance(60_000);
  return contextsOf(transport.reports.at(-1)).filter(({ targetingKey }) => targetingKey !== "last");
}

function contextsOf(request: ReportUsageRequest | undefined): Context[] {
  return (request?.contexts ?? []).map(({ targetingKey, attributes }) => ({
    ...(targetingKey !== "" && { targetingKey }),
    ...attributes,
  }));
}

const counts = () => transport.reports.map(({ counts: [count] }) => Number(count?.count));
const sizes = () => transport.reports.map(({ contexts }) => contexts.length);

describe("a mirror's report", () => {
  it("carries contexts only where the answer to the one before wanted some", async () => {
    transport.wantedContexts = 0;
    mirror = await openMirror({ transport, clock, random: () => 0.5 });
    ask({ targetingKey: "ann" });
    expect(await report()).toEqual([]);
    transport.wantedContexts = 2;
    expect(await report()).toEqual([]);
    ask({ targetingKey: "ann", plan: "pro" });
    transport.wantedContexts = 0;
    expect(await report()).toEqual([{ targetingKey: "ann", plan: "pro" }]);
    expect(await report()).toEqual([]);
  });

  it("carries as many as are wanted, and 50 at most", async () => {
    await open();
    for (const [wanted, carried] of [
      [3, 50],
      [1_000, 3],
      [0, 50],
    ]) {
      transport.wantedContexts = wanted ?? 0;
      for (let user = 0; user < 500; user++) ask({ targetingKey: `user-${user}` });
      await clock.advance(60_000);
      expect(sizes().at(-1)).toBe(carried);
    }
  });

  it("carries nothing that a server would refuse the others for", async () => {
    await open();
    const level = (depth: number): unknown => (depth === 0 ? 1 : { of: level(depth - 1) });
    ask({ targetingKey: "ann", list: Array(1_000).fill(1) });
    ask({ targetingKey: "bob", list: Array(1_001).fill(1) });
    ask({ targetingKey: "cyd", attribute: level(40) });
    expect((await report()).map(({ targetingKey }) => targetingKey)).toEqual(["ann"]);
  });

  it("carries what details and pinned flags are asked for too", async () => {
    await open();
    mirror.details("a", false, { targetingKey: "ann" });
    mirror.pinned().boolean("a", false, { targetingKey: "bob" });
    expect(await report()).toEqual([{ targetingKey: "ann" }, { targetingKey: "bob" }]);
  });

  it("carries a context as the engine reads it, and as it was then", async () => {
    await open();
    const context = { targetingKey: "ann", at: new Date(0), no: undefined, list: [1, undefined, "b"], nan: Number.NaN };
    ask(context);
    context.targetingKey = "eve";
    expect(await report()).toEqual([{ targetingKey: "ann", at: "1970-01-01T00:00:00.000Z", list: [1, null, "b"] }]);
  });

  it("carries none twice: of one subject, or with the same in it", async () => {
    await open();
    for (let time = 0; time < 3; time++) {
      ask({ targetingKey: "ann", time });
      ask({ plan: "pro" });
      ask();
    }
    const contexts = await report();
    expect(contexts).toHaveLength(3);
    expect(contexts).toEqual(expect.arrayContaining([{ targetingKey: "ann", time: 2 }, { plan: "pro" }, {}]));
  });

  it("carries none that is large, too deep, or cannot be read", async () => {
    await open();
    const deep: Record<string, unknown> = { targetingKey: "deep" };
    let inner = deep;
    for (let level = 0; level < 32; level++) {
      const next = {};
      inner.in = next;
      inner = next;
    }
    const endless: Record<string, unknown> = { targetingKey: "endless" };
    endless.self = endless;
    ask(deep);
    ask(endless);
    ask({ targetingKey: "long", text: "x".repeat(4_096) });
    ask({ targetingKey: "wide", text: "ü".repeat(2_040) });
    ask({ targetingKey: "list", list: new Array(1e6).fill(0) });
    ask({
      targetingKey: "throws",
      get email() {
        throw new Error("no");
      },
    });
    ask({ targetingKey: "fits", text: "x".repeat(4_000) });
    expect((await report()).map(({ targetingKey }) => targetingKey)).toEqual(["fits"]);
  });

  it("looks once at contexts whose members are too many to list, and goes on after the next", async () => {
    await open();
    const members = Object.fromEntries(Array.from({ length: 4_097 }, (_, index) => [`m${index}`, 0]));
    let lists = 0;
    const huge = new Proxy(members, {
      ownKeys(target) {
        lists++;
        return Reflect.ownKeys(target);
      },
    });
    for (let time = 0; time < 20; time++) ask({ targetingKey: "ann", huge });
    for (let time = 0; time < 20; time++) ask(huge);
    expect(lists).toBe(1);
    expect(await report()).toEqual([]);
    ask(huge);
    expect(lists).toBe(2);
    ask({ targetingKey: "bob" });
    await report();
    ask({ targetingKey: "bob" });
    expect(await report()).toEqual([{ targetingKey: "bob" }]);
  });

  it("does not make JSON of much binary data to find it too large", async () => {
    await open();
    let made = 0;
    const bytesOf = (length: number) =>
      Object.assign(new Uint8Array(length), { toJSON: () => `${++made} of ${length}` });
    ask({ targetingKey: "ann", bytes: bytesOf(4_097) });
    ask({ targetingKey: "bob", bytes: bytesOf(7) });
    expect(await report()).toEqual([{ targetingKey: "bob", bytes: "1 of 7" }]);
  });

  it("carries nothing that is private: to the mirror, or to the environment when it was asked or when it is sent", async () => {
    await open({ privateAttributes: ["user.email"] });
    publisher.commit(environmentState(["ip"]));
    await settle();
    ask({ targetingKey: "ann", ip: "::1", phone: "123", user: { email: "a@b.c", name: "Ann" } });
    publisher.commit(environmentState(["phone"]));
    await settle();
    expect(await report()).toEqual([{ targetingKey: "ann", user: { name: "Ann" } }]);
  });

  it("carries none where the application refuses", async () => {
    await open({ sampleContexts: false });
    ask({ targetingKey: "ann" });
    await clock.advance(60_000);
    expect(sizes()).toEqual([0]);
    await expect(openMirror({ transport, sampleContexts: "no" as unknown as boolean })).rejects.toThrow(
      new TypeError("sampleContexts must be true or false"),
    );
  });

  it.each(["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"] as const)(
    "comes without them where it is refused for them with %s, and its counts are not lost",
    async (code) => {
      await open();
      transport.answer = async () => {
        if (sizes().at(-1) !== 0) throw new TransportError(code, "no");
      };
      for (let user = 0; user < 20; user++) ask({ targetingKey: `user-${user}` });
      await clock.advance(60_000);
      expect(sizes()).toEqual([20, 0]);
      expect(counts()).toEqual([20, 20]);
      expect(new Set(transport.reports.map(({ reportId }) => reportId)).size).toBe(1);
      transport.answer = async () => {};
      for (let user = 0; user < 20; user++) ask({ targetingKey: `user-${user}` });
      await clock.advance(60_000);
      expect(sizes().slice(2)).toEqual([10]);
    },
  );
});
