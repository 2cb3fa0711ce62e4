import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import {
  GoodbyeReason,
  type Position,
  PositionSchema,
  WatchItemSchema,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot } from "../../src/engine/index.js";
import { createWatchHub, flagItemId, type WatchHub, type WatchLimits } from "../../src/watch/index.js";
import { booleanFlag, deletedFlag, deletedSegment, segment } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { StreamTap } from "../support/stream-tap.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let clock: VirtualClock;

function createHub(limits: Partial<WatchLimits> = {}, random = () => 0.5): WatchHub {
  return createWatchHub({ clock, random, ...limits });
}

function position(revision: number, epoch = "epoch-1"): Position {
  return create(PositionSchema, { epoch, revision: BigInt(revision) });
}

async function storyFrom(hub: WatchHub, from?: Position): Promise<string[]> {
  const tap = new StreamTap(hub, { position: from });
  await settle();
  await tap.stop();
  return tap.story;
}

beforeEach(() => {
  clock = new VirtualClock();
});

describe("the first update", () => {
  it("holds everything, its position and its digest where there is no position", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1), segment("s", 1)], 3);
    const tap = new StreamTap(hub);
    await settle();
    expect(tap.story).toEqual(["full[a,segment:s]@3"]);
    expect(tap.messages[0]?.commit?.digest).toBe(publisher.snapshot.digest);
    expect(tap.messages[0]?.commit?.position).toEqual(publisher.snapshot.position);
  });

  it("comes for an environment without flags too", async () => {
    const hub = createHub();
    new Publisher(hub);
    expect(await storyFrom(hub)).toEqual(["full[]@1"]);
  });

  it("is the only one of a stream that asks for one, which then ends without a goodbye", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const tap = new StreamTap(hub, { position: position(1), once: true });
    await settle();
    publisher.commit(booleanFlag("a", 2));
    await clock.advance(60_000);
    expect(tap.story).toEqual(["none[]@1"]);
    expect(tap.ended).toBe(true);
    expect(hub.counts()).toMatchObject({ watchers: 0, goodbyes: 0 });
  });

  it("says that nothing changed where the position is the current one", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const tap = new StreamTap(hub, { position: position(1) });
    await settle();
    expect(tap.story).toEqual(["none[]@1"]);
    expect(tap.messages[0]?.commit?.digest).toBe(publisher.snapshot.digest);
  });

  it("folds what changed since the position: the latest state of each, deletions too", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1), segment("s", 1)]);
    publisher.commit(booleanFlag("a", 2));
    publisher.commit(booleanFlag("a", 3, "off"), deletedFlag("b"));
    publisher.commit(deletedSegment("s"));
    const tap = new StreamTap(hub, { position: position(1) });
    await settle();
    expect(tap.story).toEqual(["delta[a,-b,-segment:s]@4"]);
    const item = tap.messages[0]?.items[0]?.kind;
    expect(item?.case === "flag" && item.value.targeting?.revision).toBe(3n);
    expect(await storyFrom(hub, position(3))).toEqual(["delta[-segment:s]@4"]);
  });

  it("does not hold what was deleted before", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1), segment("s", 1)]);
    publisher.commit(deletedFlag("a"), deletedSegment("s"));
    expect(await storyFrom(hub)).toEqual(["full[b]@2"]);
  });

  it("is a delta without items where only other environments changed since", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    publisher.commit();
    expect(await storyFrom(hub, position(1))).toEqual(["delta[]@2"]);
  });

  it.each([
    ["of another epoch", position(1, "epoch-0")],
    ["from before the hub began", position(0)],
  ])("holds everything where the position is %s", async (_what, from) => {
    const hub = createHub();
    new Publisher(hub, [booleanFlag("a", 1)]).commit(booleanFlag("b", 2));
    expect(await storyFrom(hub, from)).toEqual(["full[a,b]@2"]);
  });

  it("holds everything where the position has fallen out of the retained window", async () => {
    const hub = createHub({ retainedIds: 2 });
    const publisher = new Publisher(hub);
    for (const [index, key] of ["a", "b", "c"].entries()) publisher.commit(booleanFlag(key, index + 2));
    expect(await storyFrom(hub, position(1))).toEqual(["full[a,b,c]@4"]);
    expect(await storyFrom(hub, position(2))).toEqual(["delta[b,c]@4"]);
  });

  it("keeps the window's edge right over many changes", async () => {
    const hub = createHub({ retainedIds: 5 });
    const publisher = new Publisher(hub);
    for (let revision = 2; revision <= 40; revision++) publisher.commit(booleanFlag(`f${revision}`, revision));
    expect((await storyFrom(hub, position(34)))[0]).toMatch(/^full/);
    expect(await storyFrom(hub, position(35))).toEqual(["delta[f36,f37,f38,f39,f40]@40"]);
    expect(await storyFrom(hub, position(38))).toEqual(["delta[f39,f40]@40"]);
  });

  it("goes on from kept history after a restart, as far back as that reaches", async () => {
    const hub = createHub();
    new Publisher(hub, [booleanFlag("a", 9), booleanFlag("c", 2)], 10);
    hub.prime("production", 6n, [
      { revision: 7n, ids: [flagItemId("b")] },
      { revision: 9n, ids: [flagItemId("a")] },
    ]);
    expect(await storyFrom(hub, position(6))).toEqual(["delta[-b,a]@10"]);
    expect(await storyFrom(hub, position(8))).toEqual(["delta[a]@10"]);
    expect(await storyFrom(hub, position(5))).toEqual(["full[a,c]@10"]);
  });
});

describe("a stream", () => {
  it("brings every change in order", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const tap = new StreamTap(hub);
    for (let revision = 2; revision <= 4; revision++) {
      await settle();
      publisher.commit(booleanFlag(`f${revision}`, revision));
    }
    await settle();
    expect(tap.story).toEqual(["full[a]@1", "delta[f2]@2", "delta[f3]@3", "delta[f4]@4"]);
    expect(tap.messages.at(-1)?.commit?.digest).toBe(publisher.snapshot.digest);
  });

  it("folds for a watcher that reads slowly", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const stream = hub.watch({ environment: "production" }, new AbortController().signal);
    await stream.next();
    for (let revision = 2; revision <= 50; revision++) publisher.commit(booleanFlag("a", revision));
    const { value } = await stream.next();
    expect(value?.message.items).toHaveLength(1);
    expect(value?.message.commit?.position?.revision).toBe(50n);
  });

  it("sends everything to a watcher that has fallen out of the retained window", async () => {
    const hub = createHub({ retainedIds: 1 });
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const stream = hub.watch({ environment: "production" }, new AbortController().signal);
    await stream.next();
    publisher.commit(booleanFlag("b", 2));
    publisher.commit(booleanFlag("c", 3));
    const { value } = await stream.next();
    expect(value?.message.begin?.kind).toBe(1);
    expect(value?.message.items).toHaveLength(3);
  });

  it("lets revisions that changed nothing here be known together, soon, by a heartbeat", async () => {
    const hub = createHub({ bookmarkDelayMs: 200 });
    const publisher = new Publisher(hub);
    const tap = new StreamTap(hub);
    const story = await tap.next(async () => {
      for (let count = 0; count < 5; count++) publisher.commit();
      await clock.advance(199);
    });
    expect(story).toEqual([]);
    expect(await tap.next(() => clock.advance(1))).toEqual(["heartbeat@6"]);
  });

  it("sends everything again when the environment is reset, of another epoch too", async () => {
    const hub = createHub();
    new Publisher(hub, [booleanFlag("a", 1)], 7);
    const tap = new StreamTap(hub);
    const story = await tap.next(() => {
      new Publisher(hub, [booleanFlag("b", 1)], 2, "production", "epoch-2");
    });
    expect(story).toEqual(["full[b]@2"]);
    expect(tap.messages.at(-1)?.commit?.position?.epoch).toBe("epoch-2");
  });

  it("is not disturbed by other environments", async () => {
    const hub = createHub();
    new Publisher(hub);
    const staging = new Publisher(hub, [], 1, "staging");
    const tap = new StreamTap(hub);
    expect(await tap.next(() => staging.commit(booleanFlag("a", 2)))).toEqual([]);
  });
});

describe("heartbeats", () => {
  it.each([
    ["soonest", 0, 7_500],
    ["latest", 1, 12_500],
  ])("come within 15 s, the %s after %d of the jitter", async (_what, chance, atMs) => {
    const hub = createHub({}, () => chance);
    new Publisher(hub);
    const tap = new StreamTap(hub);
    expect(await tap.next(() => clock.advance(atMs - 1))).toEqual([]);
    expect(await tap.next(() => clock.advance(1))).toEqual(["heartbeat@1"]);
    expect(await tap.next(() => clock.advance(atMs))).toEqual(["heartbeat@1"]);
  });

  it("tell the digest of what should be there", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const tap = new StreamTap(hub);
    await tap.next(() => clock.advance(10_000));
    expect(tap.messages.at(-1)?.heartbeat?.digest).toBe(publisher.snapshot.digest);
  });

  it("are not due while changes come", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    const tap = new StreamTap(hub);
    await tap.next(() => clock.advance(9_000));
    await tap.next(() => publisher.commit(booleanFlag("a", 2)));
    expect(await tap.next(() => clock.advance(9_999))).toEqual([]);
    expect(await tap.next(() => clock.advance(1))).toEqual(["heartbeat@2"]);
  });
});

describe("encoding", () => {
  it("happens once for a change, whatever the number of watchers", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const taps = Array.from({ length: 100 }, () => new StreamTap(hub));
    await settle();
    for (const tap of taps) void tap.messages;
    const before = hub.counts();
    publisher.commit(booleanFlag("b", 2));
    await settle();
    for (const tap of taps) expect(tap.story.at(-1)).toBe("delta[b]@2");
    const after = hub.counts();
    expect(after.frames - before.frames).toBe(100);
    expect(after.frameEncodings - before.frameEncodings).toBe(1);
    expect(after.itemEncodings - before.itemEncodings).toBe(1);
  });

  it("happens once for a herd that needs everything, and for an unchanged flag once in its life", async () => {
    const hub = createHub();
    const publisher = new Publisher(
      hub,
      Array.from({ length: 20 }, (_, index) => booleanFlag(`f${index}`, 1)),
    );
    const taps = Array.from({ length: 50 }, () => new StreamTap(hub));
    await settle();
    for (const tap of taps) void tap.messages;
    expect(hub.counts()).toMatchObject({ frames: 50, fulls: 50, frameEncodings: 1, itemEncodings: 20 });
    publisher.commit(booleanFlag("f0", 2));
    await storyFrom(hub);
    expect(hub.counts().itemEncodings).toBe(21);
  });

  it("makes the same bytes as the message itself", async () => {
    const hub = createHub({ maxMessageBytes: 400 });
    const publisher = new Publisher(
      hub,
      Array.from({ length: 10 }, (_, index) => booleanFlag(`f${index}`, 1)),
    );
    const tap = new StreamTap(hub);
    await tap.next(() => publisher.commit(deletedFlag("f1")));
    expect(tap.frames.length).toBeGreaterThan(2);
    for (const frame of tap.frames) {
      expect(Buffer.from(frame.bytes)).toEqual(Buffer.from(toBinary(WatchResponseSchema, frame.message)));
    }
  });
});

describe("a large update", () => {
  it("travels in messages below the limit, begin in the first and commit in the last", async () => {
    const hub = createHub({ maxMessageBytes: 1_000 });
    new Publisher(
      hub,
      Array.from({ length: 60 }, (_, index) => booleanFlag(`flag-${index}`, 1)),
    );
    const tap = new StreamTap(hub);
    await settle();
    const { messages, frames } = tap;
    expect(messages.length).toBeGreaterThan(3);
    for (const frame of frames) expect(frame.bytes.length).toBeLessThanOrEqual(1_000);
    expect(messages.map((message) => message.begin !== undefined).indexOf(true, 1)).toBe(-1);
    expect(messages[0]?.begin?.kind).toBe(1);
    expect(messages.map((message) => message.commit !== undefined).indexOf(true)).toBe(messages.length - 1);
    expect(messages.flatMap((message) => message.items)).toHaveLength(60);
  });

  it("sends one item that is larger alone", async () => {
    const hub = createHub({ maxMessageBytes: 1_000 });
    const large = segment(
      "large",
      1,
      Array.from({ length: 500 }, (_, index) => `user-${index}`),
    );
    new Publisher(hub, [booleanFlag("a", 1), large, segment("z", 1)]);
    expect(await storyFrom(hub)).toEqual(["full[a]…", "…[segment:large]…", "…[segment:z]@1"]);
    new Publisher(hub, [large], 2);
    expect(await storyFrom(hub)).toEqual(["full[segment:large]@2"]);
  });

  describe("of a segment", () => {
    const keys = Array.from({ length: 400 }, (_, index) => `user-${index}`);
    /** Too large for a message, with counts as a server gives them. */
    const cut = (revision: number, excluded: string[] = []) =>
      create(WatchItemSchema, {
        kind: {
          case: "segment",
          value: {
            key: "large",
            revision: BigInt(revision),
            included: keys,
            excluded,
            includedCount: keys.length,
            excludedCount: excluded.length,
          },
        },
      });

    it("that says how many keys it has is cut over messages below the limit, each key once", async () => {
      const hub = createHub({ maxMessageBytes: 1_000 });
      const publisher = new Publisher(hub, [booleanFlag("a", 1), cut(1, ["out"]), segment("z", 1)]);
      const tap = new StreamTap(hub);
      await settle();
      const [first, ...parts] = tap.story;
      expect(first).toBe("full[a,segment:z]…");
      expect(parts.pop()).toBe("…[]@1");
      expect(parts.shift()).toBe("…[segment:large]…");
      expect(parts.length).toBeGreaterThan(1);
      expect(new Set(parts)).toEqual(new Set(["…[+segment:large]…"]));
      for (const frame of tap.frames) expect(frame.bytes.length).toBeLessThanOrEqual(1_000);
      const items = tap.messages.flatMap((message) => message.items);
      expect(emptySnapshot("production").apply("full", items, position(1)).digest).toBe(publisher.snapshot.digest);
      const sent = items.flatMap(({ kind }) =>
        kind.case === "segment" || kind.case === "segmentKeys" ? [kind.value] : [],
      );
      expect(sent.flatMap(({ included }) => included)).toEqual(keys);
      expect(sent.flatMap(({ excluded }) => excluded)).toEqual(["out"]);
    });

    it("is encoded once, and held once, whatever the number of updates that carry it", async () => {
      const hub = createHub({ maxMessageBytes: 1_000 });
      const publisher = new Publisher(hub);
      for (let revision = 2; revision < 20; revision++) publisher.commit(booleanFlag(`f${revision}`, revision));
      publisher.commit(cut(20));
      const buffers = new Set<ArrayBufferLike>();
      let parts = 0;
      for (let revision = 1; revision < 20; revision++) {
        const tap = new StreamTap(hub, { position: position(revision) });
        await settle();
        const frames = tap.frames.filter(({ message }) => message.items[0]?.kind.case === "segmentKeys");
        parts = frames.length;
        for (const frame of frames) buffers.add(frame.bytes.buffer);
        await tap.stop();
      }
      expect(parts).toBeGreaterThan(1);
      expect(buffers.size).toBe(parts);
    });

    it("is no heartbeat, although its first message has no items", async () => {
      const hub = createHub({ maxMessageBytes: 1_000 });
      const publisher = new Publisher(hub, [cut(1)]);
      const tap = new StreamTap(hub);
      const news = await tap.next(() => publisher.commit(cut(2)));
      expect(news[0]).toBe("delta[]…");
      expect(news.at(-1)).toBe("…[]@2");
    });
  });

  it("is finished at its own revision although there is a newer one", async () => {
    const hub = createHub({ maxMessageBytes: 300 });
    const publisher = new Publisher(
      hub,
      Array.from({ length: 9 }, (_, index) => booleanFlag(`f${index}`, 1)),
    );
    const stream = hub.watch({ environment: "production" }, new AbortController().signal);
    const revisions: unknown[] = [];
    await stream.next();
    publisher.commit(booleanFlag("f1", 2));
    while (revisions.length < 2) {
      const { value } = await stream.next();
      if (value?.message.commit !== undefined) revisions.push(value.message.commit.position?.revision);
    }
    expect(revisions).toEqual([1n, 2n]);
  });
});

describe("the end", () => {
  it("comes with a goodbye after about an hour", async () => {
    const hub = createHub({ maxAgeMs: 60_000 }, () => 1);
    new Publisher(hub);
    const tap = new StreamTap(hub);
    await clock.advance(65_999);
    expect(tap.ended).toBe(false);
    await clock.advance(1);
    expect(tap.ended).toBe(true);
    expect(tap.messages.at(-1)?.goodbye?.reason).toBe(GoodbyeReason.RECYCLED);
  });

  it("comes with a goodbye when the environment is deleted, and for one that is not there", async () => {
    const hub = createHub();
    new Publisher(hub);
    const tap = new StreamTap(hub);
    expect(await tap.next(() => hub.remove("production"))).toEqual(["goodbye"]);
    expect(tap.messages.at(-1)?.goodbye?.reason).toBe(GoodbyeReason.ENVIRONMENT_DELETED);
    expect(tap.ended).toBe(true);
    expect(await storyFrom(hub)).toEqual(["goodbye"]);
  });

  it("comes with a goodbye and a spread wait when the server drains, for new streams too", async () => {
    const chances = [0, 0.5, 0.75];
    const hub = createHub({}, () => chances.shift() ?? 0);
    new Publisher(hub);
    const tap = new StreamTap(hub);
    await settle();
    expect(await tap.next(() => hub.goodbye(GoodbyeReason.SHUTDOWN, 4_000))).toEqual(["goodbye"]);
    const goodbye = tap.messages.at(-1)?.goodbye;
    expect(goodbye?.reason).toBe(GoodbyeReason.SHUTDOWN);
    expect(goodbye?.retryAfter).toMatchObject({ seconds: 5n, nanos: 0 });
    expect(tap.ended).toBe(true);
    expect(await storyFrom(hub)).toEqual(["goodbye"]);
  });

  it("leaves nothing behind when the signal aborts, although nobody pulls any more", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    const abort = new AbortController();
    const stream = hub.watch({ environment: "production" }, abort.signal);
    await stream.next();
    expect(hub.counts().watchers).toBe(1);
    abort.abort();
    expect(hub.counts().watchers).toBe(0);
    publisher.commit(booleanFlag("a", 2));
    expect(clock.pendingTimers).toBe(0);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("leaves no timer when the signal aborts while the stream waits", async () => {
    const hub = createHub();
    new Publisher(hub);
    const tap = new StreamTap(hub);
    await settle();
    expect(clock.pendingTimers).toBe(1);
    await tap.stop();
    expect(tap.ended).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    expect(hub.counts().watchers).toBe(0);
  });
});

describe("misuse", () => {
  it("is refused: revisions that go back, another epoch, an environment that was never begun", () => {
    const hub = createHub();
    new Publisher(hub, [], 5);
    const publication = { digest: "0".repeat(16), items: [] };
    expect(() => hub.publish("production", { position: position(5), ...publication })).toThrow(/published after 5/);
    expect(() => hub.publish("production", { position: position(6, "other"), ...publication })).toThrow(/epoch/);
    expect(() => hub.publish("staging", { position: position(6), ...publication })).toThrow(/staging/);
  });
});
