import { create, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { type Trace, TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Flags, type Mirror, openMirror, SnapshotFlags, TransportError } from "../../src/client/index.js";
import type { Context } from "../../src/engine/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { soundItems, wildItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { flag, match, rule, snapshotOf } from "../engine/build.js";
import { HubTransport } from "../support/hub-transport.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

/** What there is to know of the environment beside flags and segments. */
function environment(...privateAttributes: string[]): WatchItem {
  return create(WatchItemSchema, { kind: { case: "environment", value: { privateAttributes } } });
}

const SECRET = "s3cr3t";

describe("a mirror, of what is private in its environment", () => {
  const items = [
    flag("a", {
      rules: [rule(match("email", Operator.IN, ["x"]), "mail"), rule(match("ip", Operator.IN, ["x"]), "ip")],
    }),
  ];
  const clock = new VirtualClock();
  let hub: WatchHub;
  let publisher: Publisher;
  let transport: HubTransport;
  const opened: Mirror[] = [];
  let saved: Uint8Array | undefined;
  const cache = {
    load: async () => saved,
    save: async (bytes: Uint8Array) => {
      saved = bytes;
    },
  };

  beforeEach(() => {
    saved = undefined;
    hub = createWatchHub({ clock, random: () => 0.5 });
    publisher = new Publisher(hub, items);
    transport = new HubTransport(hub);
  });

  afterEach(async () => {
    for (const mirror of opened.splice(0)) await mirror.close();
  });

  async function open(privateAttributes: string[] = []): Promise<Mirror> {
    const options = { transport, clock, random: () => 0.5, cache, cacheDelayMs: 0, privateAttributes };
    const mirror = await openMirror(options);
    opened.push(mirror);
    return mirror;
  }

  async function commit(mirror: Mirror, ...changed: WatchItem[]): Promise<void> {
    publisher.commit(...changed);
    await expect.poll(() => mirror.revision).toBe(publisher.revision);
  }

  /** Which of the attributes an explanation tells. */
  function told(flags: Pick<Flags, "explain">, privateAttributes: string[] = []): string[] {
    const context = { email: `${SECRET} email`, ip: `${SECRET} ip` };
    const { trace } = flags.explain("a", "", context, { privateAttributes });
    const text = toJsonString(TraceSchema, trace as Trace);
    return ["email", "ip"].filter((name) => text.includes(`${SECRET} ${name}`));
  }

  it("tells it in no explanation, together with its own and the caller's", async () => {
    publisher.commit(environment("email"));
    expect(told(await open())).toEqual(["ip"]);
    expect(told(await open(["ip"]))).toEqual([]);
    expect(told(await open(), ["ip"])).toEqual([]);
  });

  it("is told of a change while it runs, and so are its pinned flags", async () => {
    const mirror = await open();
    const pinned = mirror.pinned();
    expect(told(pinned)).toEqual(["email", "ip"]);
    await commit(mirror, environment("email"));
    expect([told(mirror), told(pinned), told(mirror.pinned())]).toEqual([["ip"], ["ip"], ["ip"]]);
    await commit(mirror, environment());
    expect([told(mirror), told(pinned)]).toEqual([
      ["email", "ip"],
      ["email", "ip"],
    ]);
  });

  it("makes no change of flags of it", async () => {
    const mirror = await open();
    const changes: unknown[] = [];
    mirror.on("change", (change) => changes.push(change));
    const { digest } = mirror;
    await commit(mirror, environment("email"));
    expect([changes, mirror.digest]).toEqual([[], digest]);
  });

  it("is told of a change that was made while its stream was cut", async () => {
    const mirror = await open();
    transport.cut();
    publisher.commit(environment("email"));
    await clock.advance(10_000);
    expect(mirror.revision).toBe(publisher.revision);
    expect(told(mirror)).toEqual(["ip"]);
    expect(mirror.counts).toMatchObject({ fulls: 1, deltas: 1 });
  });

  it("keeps it in its cache", async () => {
    const mirror = await open();
    await commit(mirror, environment("email"));
    await mirror.close();
    transport = new HubTransport(hub);
    transport.refusal = new TransportError("UNAVAILABLE", "nobody listens");
    const again = await open();
    expect(again.status).toBe("stale");
    expect(told(again)).toEqual(["ip"]);
  });
});

test(`no explanation of any flag tells what is private in the environment (seed ${SEED})`, () => {
  const hidden: Context = { targetingKey: SECRET, plan: SECRET, "device.os": SECRET, device: { os: SECRET } };
  const clock = new VirtualClock();
  fc.assert(
    fc.property(fc.oneof(soundItems, wildItems), someContext, (items, context) => {
      const snapshot = snapshotOf(...items, environment("targetingKey", "plan", "device"));
      const flags = new SnapshotFlags({ snapshot, hasData: true }, clock, []);
      for (const { key } of snapshot.flags()) {
        const { trace } = flags.explain(key, null, { ...context, ...hidden });
        expect(toJsonString(TraceSchema, trace as Trace)).not.toContain(SECRET);
      }
    }),
    runs(100),
  );
});
