import { create, fromBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { GoodbyeReason, type Position, PositionSchema, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import {
  createWatchHub,
  type Frame,
  type WatchCursor,
  type WatchHub,
  type WatchLimits,
  type WatchTarget,
} from "../../src/watch/index.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { tell } from "../support/stream-tap.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let clock: VirtualClock;

function createHub(limits: Partial<WatchLimits> = {}, random = () => 0.5): WatchHub {
  return createWatchHub({ clock, random, ...limits });
}

/** A fixed series of chances for each seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const tellFrame = (frame: Frame | undefined) => frame && tell(fromBinary(WatchResponseSchema, frame.bytes));

/** A stream that takes what there is as soon as there is something. */
class Reader {
  readonly frames: Frame[] = [];
  readonly atMs: number[] = [];
  readonly cursor: WatchCursor;
  calls = 0;

  constructor(
    hub: WatchHub,
    target: Partial<WatchTarget> = {},
    readonly onNews: () => void = () => {},
  ) {
    this.cursor = hub.open({ environment: "production", ...target }, () => {
      this.calls++;
      this.onNews();
      this.read();
    });
    this.read();
  }

  get story(): (string | undefined)[] {
    return this.frames.map(tellFrame);
  }

  read(): void {
    for (let frame = this.cursor.next(); frame !== undefined; frame = this.cursor.next()) {
      this.frames.push(frame);
      this.atMs.push(clock.monotonicMs());
    }
  }
}

const position = (revision: number, epoch = "epoch-1"): Position =>
  create(PositionSchema, { epoch, revision: BigInt(revision) });
const readers = (hub: WatchHub, count: number) => Array.from({ length: count }, () => new Reader(hub));

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function settleMany(): Promise<void> {
  for (let round = 0; round < 20; round++) await settle();
}

beforeEach(() => {
  clock = new VirtualClock();
});

describe("a cursor", () => {
  it("gives what there is, then nothing until there is news, of which it tells once", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    let calls = 0;
    const cursor = hub.open({ environment: "production" }, () => void calls++);
    expect(tellFrame(cursor.next())).toBe("full[a]@1");
    expect([cursor.next(), cursor.ended]).toEqual([undefined, false]);
    publisher.commit(booleanFlag("b", 2));
    publisher.commit(booleanFlag("c", 3));
    await settle();
    publisher.commit(booleanFlag("d", 4));
    await settle();
    expect(calls).toBe(1);
    expect(tellFrame(cursor.next())).toBe("delta[b,c,d]@4");
    expect(cursor.next()).toBeUndefined();
  });

  it("is told of nothing while its client is still taking what came before", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    let calls = 0;
    const cursor = hub.open({ environment: "production" }, () => void calls++);
    cursor.next();
    publisher.commit(booleanFlag("a", 2));
    await clock.advance(60_000);
    expect(calls).toBe(0);
    expect(tellFrame(cursor.next())).toBe("delta[a]@2");
  });

  it("has ended after its goodbye, or the one update that was asked for, and counts until then", async () => {
    const hub = createHub();
    new Publisher(hub);
    const once = hub.open({ environment: "production", once: true }, () => {});
    const other = new Reader(hub);
    expect([tellFrame(once.next()), once.ended, hub.counts().watchers]).toEqual(["full[]@1", false, 2]);
    expect([once.next(), once.ended, hub.counts().watchers]).toEqual([undefined, true, 1]);
    hub.goodbye(GoodbyeReason.SHUTDOWN, 0);
    await settle();
    expect([other.story, other.cursor.ended]).toEqual([["full[]@1", "goodbye"], true]);
    expect(other.cursor.next()).toBeUndefined();
    expect(hub.counts()).toMatchObject({ watchers: 0, goodbyes: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it("of an environment that is not there says goodbye, and is nowhere counted", () => {
    const reader = new Reader(createHub(), { environment: "nowhere" });
    expect([reader.story, reader.cursor.ended]).toEqual([["goodbye"], true]);
  });

  it("counts until it is closed where its environment is removed", async () => {
    const hub = createHub();
    new Publisher(hub);
    const behind = hub.open({ environment: "production" }, () => {});
    behind.next();
    hub.remove("production");
    await settle();
    expect(hub.counts().watchers).toBe(1);
    expect(tellFrame(behind.next())).toBe("goodbye");
    behind.close();
    expect(hub.counts().watchers).toBe(0);
  });

  it("is told of nothing once it is closed, in the middle of a fan-out too, and gives nothing", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    const all = readers(hub, 3);
    publisher.commit(booleanFlag("a", 2));
    all[1]?.cursor.close();
    all[1]?.cursor.close();
    await settle();
    expect(all.map(({ calls }) => calls)).toEqual([1, 0, 1]);
    expect([all[1]?.cursor.next(), all[1]?.cursor.ended, hub.counts().watchers]).toEqual([undefined, true, 2]);
  });
});

describe("many watchers", () => {
  it("share one timer while they wait, and none when they are gone", async () => {
    const hub = createHub({}, createRandom(1));
    new Publisher(hub);
    const all = readers(hub, 1_000);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(60_000);
    expect(clock.pendingTimers).toBe(1);
    for (const { cursor } of all) cursor.close();
    expect(clock.pendingTimers).toBe(0);
    expect(hub.counts().watchers).toBe(0);
  });

  it("each have a heartbeat at least every 15 s, whenever they came, and not all at once", async () => {
    const random = createRandom(7);
    const hub = createHub({}, random);
    new Publisher(hub);
    const all: Reader[] = [];
    for (let count = 0; count < 400; count++) {
      all.push(new Reader(hub));
      await clock.advance(Math.floor(random() * 100));
    }
    await clock.advance(60_000);
    const times = new Map<number, number>();
    for (const { atMs } of all) {
      const gaps = [...atMs.slice(1), clock.monotonicMs()].map((at, index) => at - (atMs[index] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
      expect(Math.min(...gaps.slice(0, -1))).toBeGreaterThanOrEqual(7_500);
      for (const at of atMs.slice(1)) times.set(at, (times.get(at) ?? 0) + 1);
    }
    expect(Math.max(...times.values())).toBeLessThan(40);
  }, 20_000);

  it("are sent one buffer of one encoding for a change", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)]);
    const all = readers(hub, 1_000);
    for (const { frames } of all) for (const { frame } of frames) expect(frame.readUInt32BE(1)).toBe(frame.length - 5);
    const before = hub.counts();
    publisher.commit(booleanFlag("b", 2));
    await settleMany();
    const buffers = new Set(all.map(({ frames }) => frames.at(-1)?.frame));
    expect([buffers.size, all.every(({ story }) => story.at(-1) === "delta[b]@2")]).toEqual([1, true]);
    const after = hub.counts();
    expect(after.frames - before.frames).toBe(1_000);
    expect(after.frameEncodings - before.frameEncodings).toBe(1);
    expect(after.itemEncodings - before.itemEncodings).toBe(1);
  });

  it("are told a slice at a time, after whoever made the news, and with others' turns in between", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    const events: string[] = [];
    for (let count = 0; count < 1_000; count++) new Reader(hub, {}, () => events.push("told"));
    let isOver = false;
    const other = (): void => {
      events.push("other");
      if (!isOver) setImmediate(other);
    };
    publisher.commit(booleanFlag("a", 2));
    expect(events).toEqual([]);
    setImmediate(other);
    await settleMany();
    isOver = true;
    await settle();
    const runs = events
      .join(" ")
      .split("other")
      .map((run) => run.split("told").length - 1);
    expect(runs.reduce((sum, run) => sum + run, 0)).toBe(1_000);
    expect(Math.max(...runs)).toBeLessThan(200);
  });

  it("are told one slice in a turn, whatever the number of environments", async () => {
    const hub = createHub();
    const publishers = Array.from({ length: 20 }, (_, i) => new Publisher(hub, [], 1, `environment-${i}`));
    let told = 0;
    for (const { environment } of publishers) {
      for (let count = 0; count < 50; count++) new Reader(hub, { environment }, () => told++);
    }
    for (const publisher of publishers) publisher.commit(booleanFlag("a", 2));
    await turn();
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(200);
    await settleMany();
    expect(told).toBe(1_000);
  });

  it("that were there are told again, although in each turn more come than are told", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    const [first] = readers(hub, 1);
    for (let turns = 0; turns < 40; turns++) {
      readers(hub, 200);
      if (turns === 5 || turns === 8) publisher.commit(booleanFlag("a", turns));
      await turn();
    }
    expect(first?.story).toEqual(["full[]@1", "delta[a]@2", "delta[a]@3"]);
  });

  it("are all brought to the newest revision by what is published in the middle of a fan-out", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    let told = 0;
    const all = Array.from(
      { length: 1_000 },
      () =>
        new Reader(hub, {}, () => {
          told++;
          if (told === 500) publisher.commit(booleanFlag("b", 3));
        }),
    );
    publisher.commit(booleanFlag("a", 2));
    await settleMany();
    const stories = new Set(all.map(({ story }) => story.slice(1).join(" ")));
    expect(stories).toEqual(new Set(["delta[a]@2 delta[b]@3", "delta[a,b]@3"]));
  });
});

describe("recycling", () => {
  it("ends so many streams with a goodbye, whichever chance picks, and leaves the others", async () => {
    const picks = await Promise.all(
      [1, 2].map(async (seed) => {
        const hub = createHub({}, createRandom(seed));
        new Publisher(hub);
        new Publisher(hub, [], 1, "staging");
        const all = Array.from(
          { length: 200 },
          (_, index) => new Reader(hub, { environment: index % 2 === 0 ? "production" : "staging" }),
        );
        hub.recycle(50);
        await settleMany();
        expect(hub.counts()).toMatchObject({ watchers: 150, goodbyes: 50 });
        return all.flatMap(({ cursor }, index) => (cursor.ended ? [index] : []));
      }),
    );
    for (const pick of picks) {
      expect(pick).toHaveLength(50);
      expect(new Set(pick.map((index) => index % 2)).size).toBe(2);
      expect(pick.some((index) => index >= 100)).toBe(true);
    }
    expect(picks[0]).not.toEqual(picks[1]);
  });

  it("says why, and takes all where there are fewer", async () => {
    const hub = createHub();
    new Publisher(hub);
    const [reader] = readers(hub, 1);
    hub.recycle(5);
    hub.recycle(5);
    await settle();
    expect(reader?.frames.at(-1)?.message.goodbye).toMatchObject({ reason: GoodbyeReason.RECYCLED });
    expect(hub.counts()).toMatchObject({ watchers: 0, goodbyes: 1 });
  });

  it("picks nobody who has said goodbye already, although that is still being taken", () => {
    const hub = createHub({}, () => 0);
    new Publisher(hub);
    const [first, second] = [1, 2].map(() => hub.open({ environment: "production" }, () => {}));
    for (const cursor of [first, second]) while (cursor?.next() !== undefined);
    hub.recycle(1);
    expect([tellFrame(first?.next()), second?.next()]).toEqual(["goodbye", undefined]);
    hub.recycle(1);
    expect(tellFrame(second?.next())).toBe("goodbye");
  });

  it("picks nobody twice, although those who were picked have not been told yet", async () => {
    const hub = createHub({}, () => 0);
    new Publisher(hub);
    const all = readers(hub, 3);
    hub.recycle(1);
    hub.recycle(1);
    await settle();
    expect(all.map(({ cursor }) => cursor.ended)).toEqual([true, true, false]);
  });

  it("lets a stream finish the update that it is in the middle of", () => {
    const hub = createHub({ maxMessageBytes: 300 });
    new Publisher(
      hub,
      Array.from({ length: 9 }, (_, index) => booleanFlag(`f${index}`, 1)),
    );
    const cursor = hub.open({ environment: "production" }, () => {});
    const story = [tellFrame(cursor.next())];
    hub.recycle(1);
    for (let frame = cursor.next(); frame !== undefined; frame = cursor.next()) story.push(tellFrame(frame));
    expect(story.length).toBeGreaterThan(2);
    expect(story.slice(-2)).toEqual([expect.stringMatching(/@1$/), "goodbye"]);
  });
});

describe("a stream whose client is ahead of the head", () => {
  const ahead = { position: position(5) };

  it.each([
    ["with nothing new where that reaches its position", 5, "none[]@5"],
    ["with what is newer where that goes past it", 7, "delta[f6,f7]@7"],
  ])("waits for the head, and begins %s", async (_, until, update) => {
    const hub = createHub();
    const publisher = new Publisher(hub, [], 3);
    const reader = new Reader(hub, ahead);
    await clock.advance(400);
    expect(reader.story).toEqual([]);
    publisher.commit(booleanFlag("f4", 4));
    await settle();
    expect(reader.story).toEqual([]);
    for (let revision = 5; revision <= until; revision++) publisher.commit(booleanFlag(`f${revision}`, revision));
    await settle();
    expect(reader.story).toEqual([update]);
    publisher.commit(booleanFlag("z", until + 1));
    await settle();
    expect(reader.story).toEqual([update, `delta[z]@${until + 1}`]);
  });

  it("reaches it by revisions that are about something else too", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [], 4);
    const reader = new Reader(hub, ahead);
    publisher.commit();
    await clock.advance(200);
    expect(reader.story).toEqual(["none[]@5"]);
  });

  it("is sent everything within a second where the head does not come, and goes on as others do", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [booleanFlag("a", 1)], 3);
    await clock.advance(130);
    const reader = new Reader(hub, ahead);
    await clock.advance(499);
    publisher.commit(booleanFlag("b", 4));
    await settle();
    expect(reader.story).toEqual([]);
    await clock.advance(251);
    expect(reader.story).toEqual(["full[a,b]@4"]);
    await clock.advance(15_000);
    expect(reader.story).toEqual(["full[a,b]@4", "heartbeat@4"]);
  });

  it("does not wait where its position is of another epoch, or the head's becomes one", async () => {
    const hub = createHub();
    new Publisher(hub, [], 3);
    expect(new Reader(hub, { position: position(5, "epoch-0") }).story).toEqual(["full[]@3"]);
    const reader = new Reader(hub, ahead);
    new Publisher(hub, [booleanFlag("a", 1)], 2, "production", "epoch-2");
    await settle();
    expect(reader.story).toEqual(["full[a]@2"]);
  });

  it("ends after its one update, whether the head came or not", async () => {
    const hub = createHub();
    const publisher = new Publisher(hub, [], 4);
    const soon = new Reader(hub, { ...ahead, once: true });
    const never = new Reader(hub, { position: position(9), once: true });
    publisher.commit(booleanFlag("a", 5));
    await settle();
    expect([soon.story, soon.cursor.ended, never.story]).toEqual([["none[]@5"], true, []]);
    await clock.advance(750);
    expect([never.story, never.cursor.ended]).toEqual([["full[a]@5"], true]);
    expect([hub.counts().watchers, clock.pendingTimers]).toEqual([0, 0]);
  });

  it.each([
    ["the server drains", (hub: WatchHub) => hub.goodbye(GoodbyeReason.SHUTDOWN, 0), ["goodbye"]],
    ["it is recycled", (hub: WatchHub) => hub.recycle(1), ["goodbye"]],
    ["its environment is removed", (hub: WatchHub) => hub.remove("production"), ["goodbye"]],
    ["it is closed", (_hub: WatchHub, { cursor }: Reader) => cursor.close(), []],
  ])("holds nothing after %s while it waits", async (_, end, story) => {
    const hub = createHub();
    new Publisher(hub, [], 3);
    const reader = new Reader(hub, ahead);
    end(hub, reader);
    await settle();
    expect([reader.story, reader.cursor.ended]).toEqual([story, true]);
    expect([hub.counts().watchers, clock.pendingTimers]).toEqual([0, 0]);
    await clock.advance(1_000);
    expect(reader.story).toEqual(story);
  });

  it("shares one timer with all who wait", async () => {
    const hub = createHub();
    new Publisher(hub, [], 3);
    for (let count = 0; count < 100; count++) new Reader(hub, ahead);
    expect(clock.pendingTimers).toBe(1);
  });
});

describe("a head", () => {
  it("keeps the deltas that were used last, and no more", () => {
    const hub = createHub();
    const publisher = new Publisher(hub);
    for (let revision = 2; revision <= 40; revision++) publisher.commit(booleanFlag(`f${revision}`, revision));
    const encodingsOf = (revision: number): number => {
      const before = hub.counts().frameEncodings;
      const cursor = hub.open({ environment: "production", position: position(revision), once: true }, () => {});
      cursor.next()?.frame;
      cursor.close();
      return hub.counts().frameEncodings - before;
    };
    for (let revision = 1; revision < 40; revision++) {
      expect(encodingsOf(revision)).toBe(1);
      // Used again and again, and so kept.
      expect(encodingsOf(1)).toBe(0);
    }
    expect([39, 30, 1].map(encodingsOf)).toEqual([0, 0, 0]);
    expect([2, 20].map(encodingsOf)).toEqual([1, 1]);
  });
});

describe("a large frame of an old head", () => {
  const metadata = { text: "x".repeat(40_000) };
  const large = ["a", "b", "c", "d"].map((key) => booleanFlag(key, 1, "on", metadata));

  it("is one buffer for all who are sent it at the same time", () => {
    const hub = createHub({ maxMessageBytes: 100_000 });
    const publisher = new Publisher(hub, large);
    const cursors = [1, 2, 3].map(() => hub.open({ environment: "production" }, () => {}));
    for (const cursor of cursors) cursor.next()?.frame;
    publisher.commit(booleanFlag("z", 2));
    const before = hub.counts().frameEncodings;
    const buffers = cursors.map((cursor) => cursor.next()?.frame);
    expect(buffers[0]?.length).toBeGreaterThan(65_536);
    expect(new Set(buffers).size).toBe(1);
    expect(hub.counts().frameEncodings - before).toBe(1);
  });
});

describe("urgent news", () => {
  it("reach the streams of their environment before those of another are told of what came earlier", async () => {
    clock = new VirtualClock();
    const hub = createHub();
    const [slow, urgent] = ["slow", "urgent"].map((name) => new Publisher(hub, [booleanFlag("a", 1)], 1, name));
    const told: string[] = [];
    const open = (environment: string, count: number) =>
      Array.from({ length: count }, () => new Reader(hub, { environment }, () => void told.push(environment)));
    const readers = [...open("slow", 300), ...open("urgent", 200)];
    slow?.commit(booleanFlag("a", 2));
    urgent?.commitUrgently(booleanFlag("a", 2));
    await settle(20);
    expect(told.slice(0, 200)).toEqual(Array(200).fill("urgent"));
    expect(told).toHaveLength(500);
    for (const { cursor } of readers) cursor.close();
  });
});
