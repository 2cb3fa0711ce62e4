import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  GoodbyeReason,
  type WatchItem,
  WatchItemSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import {
  type Mirror,
  type MirrorError,
  type MirrorOptions,
  openMirror,
  TransportError,
} from "../../src/client/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { flag, inSegment, rule } from "../engine/build.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag, deletedFlag, segment } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let clock: VirtualClock;
let hub: WatchHub;
let publisher: Publisher;
let transport: HubTransport;
const opened: Mirror[] = [];

beforeEach(() => {
  clock = new VirtualClock();
  hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1, "off")]);
  transport = new HubTransport(hub);
});

afterEach(async () => {
  for (const mirror of opened.splice(0)) await mirror.close();
});

/** With this chance a first pause is 750 ms, and the longest 15.25 s. */
async function open(options: MirrorOptions = {}): Promise<Mirror> {
  const mirror = await openMirror({ transport, clock, random: () => 0.5, ...options });
  opened.push(mirror);
  return mirror;
}

interface Log {
  readonly events: string[];
  readonly errors: MirrorError[];
}

function listen(mirror: Mirror): Log {
  const log: Log = { events: [], errors: [] };
  mirror.on("change", ({ keys, revision }) => log.events.push(`change ${keys.join(",")}@${revision}`));
  mirror.on("ready", ({ revision }) => log.events.push(`ready@${revision}`));
  mirror.on("stale", ({ revision }) => log.events.push(`stale@${revision}`));
  mirror.on("error", (error) => {
    log.events.push(`error ${error.kind}`);
    log.errors.push(error);
  });
  return log;
}

function positions(): (bigint | undefined)[] {
  return transport.requests.map((request) => request.position?.revision);
}

describe("a segment that is larger than a message", () => {
  const keys = Array.from({ length: 300 }, (_, index) => `user-${index}`);
  const large = (revision: number, included = keys): WatchItem =>
    create(WatchItemSchema, {
      kind: {
        case: "segment",
        value: { key: "s", revision: BigInt(revision), included, includedCount: included.length },
      },
    });
  const isIn = (mirror: Mirror, targetingKey: string) => mirror.string("large", "", { targetingKey }) === "B";

  beforeEach(() => {
    hub = createWatchHub({ clock, random: () => 0.5, maxMessageBytes: 1_000 });
    publisher = new Publisher(hub, [flag("large", { rules: [rule(inSegment("s"))] }), large(1)]);
    transport = new HubTransport(hub);
  });

  it("decides as a whole, and changes as a whole", async () => {
    const mirror = await open();
    expect([isIn(mirror, "user-0"), isIn(mirror, "user-299"), isIn(mirror, "user-300")]).toEqual([true, true, false]);
    publisher.commit(large(2, keys.slice(1).concat("user-300")));
    await settle();
    expect([isIn(mirror, "user-0"), isIn(mirror, "user-299"), isIn(mirror, "user-300")]).toEqual([false, true, true]);
    expect(mirror.counts).toMatchObject({ fulls: 1, deltas: 1, resyncs: 0 });
    expect(mirror.digest).toBe(publisher.snapshot.digest);
  });

  it("is kept in the cache, whole", async () => {
    let kept: Uint8Array | undefined;
    const cache = {
      load: async () => kept,
      save: async (bytes: Uint8Array) => {
        kept = bytes;
      },
    };
    await (await open({ cache })).close();
    transport = new HubTransport(hub);
    transport.refusal = nobodyThere();
    const mirror = await open({ cache });
    expect([isIn(mirror, "user-299"), isIn(mirror, "user-300")]).toEqual([true, false]);
    transport.refusal = undefined;
    await clock.advance(1_000);
    expect(mirror.counts).toMatchObject({ nones: 1, fulls: 0, resyncs: 0 });
  });

  it.each<[string, (message: WatchResponse) => WatchResponse | undefined, RegExp]>([
    ["a part is lost", (message) => (isPart(message) ? undefined : message), /the digest is/],
    [
      "keys came where their segment was not",
      (message) => (message.items[0]?.kind.case === "segment" ? undefined : message),
      /keys came for the segment "s", which was not before them/,
    ],
  ])("is asked for again where %s, and until then it stays as it was", async (_what, lose, reason) => {
    const mirror = await open();
    const { errors } = listen(mirror);
    let lost = false;
    transport.tamper = (message) => {
      const kept = lost ? message : lose(message);
      lost ||= kept === undefined;
      return kept;
    };
    publisher.commit(large(2, [...keys, "user-300"]));
    await settle();
    expect(errors.map(({ kind, message }) => [kind, reason.test(message)])).toEqual([["protocol", true]]);
    expect([isIn(mirror, "user-0"), isIn(mirror, "user-300")]).toEqual([true, false]);
    await clock.advance(1_000);
    expect(isIn(mirror, "user-300")).toBe(true);
    expect(mirror.counts).toMatchObject({ resyncs: 1, fulls: 2 });
  });
});

const isPart = ({ items }: WatchResponse) => items[0]?.kind.case === "segmentKeys";

describe("following", () => {
  it("starts with everything, at the server's revision and digest", async () => {
    const mirror = await open();
    expect(mirror.status).toBe("ready");
    expect(mirror.revision).toBe(1);
    expect(mirror.digest).toBe(publisher.snapshot.digest);
    expect(mirror.keys()).toEqual(["a", "b"]);
    expect(mirror.boolean("a", false)).toBe(true);
    expect(mirror.boolean("b", true)).toBe(false);
    expect(transport.requests[0]).toMatchObject({ environment: "production", clientName: "flagwire" });
  });

  it("answers with each change as soon as it comes, and says which flags changed", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    publisher.commit(booleanFlag("b", 2, "on"));
    await settle();
    expect(mirror.boolean("b", false)).toBe(true);
    publisher.commit(deletedFlag("a"), booleanFlag("c", 3));
    await settle();
    expect(mirror.keys()).toEqual(["b", "c"]);
    expect(events).toEqual(["change b@2", "change a,c@3"]);
    expect(mirror.digest).toBe(publisher.snapshot.digest);
    expect(mirror.counts).toMatchObject({ attempts: 1, fulls: 1, deltas: 2, nones: 0, resyncs: 0 });
  });

  it("moves to revisions that changed nothing here, without calling it a change", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    publisher.commit();
    await clock.advance(1_000);
    expect(mirror.revision).toBe(2);
    expect(mirror.details("a", false).revision).toBe(2);
    expect(events).toEqual([]);
  });

  it("applies an update of many messages at its commit, never in part", async () => {
    hub = createWatchHub({ clock, random: () => 0.5, maxMessageBytes: 300 });
    publisher = new Publisher(
      hub,
      Array.from({ length: 20 }, (_, index) => booleanFlag(`f${index}`, 1)),
    );
    transport = new HubTransport(hub);
    const mirror = await open();
    const seen: boolean[] = [];
    transport.tamper = (message) => {
      seen.push(mirror.boolean("f0", false) === mirror.boolean("f11", false));
      return message;
    };
    publisher.commit(...Array.from({ length: 20 }, (_, index) => booleanFlag(`f${index}`, 2, "off")));
    await settle();
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).not.toContain(false);
    expect(mirror.boolean("f0", true)).toBe(false);
    expect(mirror.boolean("f11", true)).toBe(false);
  });

  it("tells every listener, also after one has thrown, until it unsubscribes", async () => {
    const mirror = await open();
    const told: string[] = [];
    const { errors } = listen(mirror);
    mirror.on("change", () => {
      throw new Error("mine");
    });
    const stop = mirror.on("change", ({ revision }) => told.push(`first ${revision}`));
    mirror.on("change", ({ revision }) => told.push(`second ${revision}`));
    publisher.commit(booleanFlag("a", 2));
    await settle();
    stop();
    stop();
    publisher.commit(booleanFlag("a", 3));
    await settle();
    expect(told).toEqual(["first 2", "second 2", "second 3"]);
    expect(errors[0]).toMatchObject({ kind: "listener", message: expect.stringContaining("mine") });
  });
});

describe("reconnecting", () => {
  it("goes on from its position, with nothing where nothing changed", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    transport.cut();
    await clock.advance(749);
    expect(transport.requests).toHaveLength(1);
    await clock.advance(1);
    expect(positions()).toEqual([undefined, 1n]);
    expect(mirror.counts).toMatchObject({ attempts: 2, fulls: 1, nones: 1, resyncs: 0 });
    expect(events).toEqual(["error connection"]);
    expect(mirror.status).toBe("ready");
  });

  it("catches up with what it missed in one delta", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    transport.cut();
    for (let revision = 2; revision <= 9; revision++) publisher.commit(booleanFlag("a", revision));
    publisher.commit(deletedFlag("b"));
    await clock.advance(1_000);
    expect(events).toEqual(["error connection", "change a,b@10"]);
    expect(mirror.counts).toMatchObject({ fulls: 1, deltas: 1 });
    expect(mirror.digest).toBe(publisher.snapshot.digest);
  });

  it("goes on from a heartbeat's position", async () => {
    await open();
    publisher.commit();
    await clock.advance(1_000);
    transport.cut();
    await clock.advance(1_000);
    expect(positions()).toEqual([undefined, 2n]);
  });

  it("takes everything from a server of another epoch, at a lower revision too", async () => {
    publisher.commit();
    publisher.commit(booleanFlag("a", 3));
    const mirror = await open();
    expect(mirror.revision).toBe(3);
    transport.hub = createWatchHub({ clock, random: () => 0.5 });
    const restored = new Publisher(transport.hub, [booleanFlag("z", 1)], 1, "production", "epoch-2");
    transport.cut();
    await clock.advance(1_000);
    expect(mirror.revision).toBe(1);
    expect(mirror.keys()).toEqual(["z"]);
    expect(mirror.digest).toBe(restored.snapshot.digest);
  });

  it("never goes down within an epoch, and keeps what it knows", async () => {
    publisher.commit(booleanFlag("a", 2));
    const mirror = await open();
    const { errors } = listen(mirror);
    transport.hub = createWatchHub({ clock, random: () => 0.5 });
    const behind = new Publisher(transport.hub, [booleanFlag("a", 1, "off")], 1);
    transport.cut();
    await clock.advance(5_000);
    expect(mirror.revision).toBe(2);
    expect(mirror.boolean("a", false)).toBe(true);
    expect(errors.at(-1)?.message).toContain("the revision went down from 2 to 1");
    behind.commit(booleanFlag("a", 2));
    behind.commit(booleanFlag("a", 3, "off"));
    await clock.advance(30_000);
    expect(mirror.revision).toBe(3);
    expect(mirror.boolean("a", true)).toBe(false);
  });

  it("waits longer after each failure, up to a limit, and starts again only after a minute of health", async () => {
    const mirror = await open();
    transport.refusal = nobodyThere();
    const attemptTimes: number[] = [];
    transport.cut();
    const startMs = clock.monotonicMs();
    for (let ms = 0; ms < 80_000; ms += 250) {
      const before = transport.requests.length;
      await clock.advance(250);
      if (transport.requests.length > before) attemptTimes.push(clock.monotonicMs() - startMs);
    }
    const pauses = attemptTimes.map((at, index) => at - (attemptTimes[index - 1] ?? 0));
    // Uniform between 0.5 s and 1, 2, 4, … 30 s, and chance is one half.
    expect(pauses).toEqual([750, 1_250, 2_250, 4_250, 8_250, 15_250, 15_250, 15_250, 15_250]);

    transport.refusal = undefined;
    await clock.advance(15_250);
    expect(mirror.status).toBe("ready");
    transport.cut();
    const attempts = transport.requests.length;
    await clock.advance(15_000);
    expect(transport.requests).toHaveLength(attempts);
    await clock.advance(250);
    expect(transport.requests.length).toBeGreaterThan(attempts);
    await clock.advance(75_000);
    transport.cut();
    const healthyAttempts = transport.requests.length;
    await clock.advance(749);
    expect(transport.requests).toHaveLength(healthyAttempts);
    await clock.advance(1);
    expect(transport.requests).toHaveLength(healthyAttempts + 1);
  });

  it("waits as long as a goodbye asks, and calls it no error", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    hub.goodbye(GoodbyeReason.SHUTDOWN, 5_000);
    await settle();
    transport.hub = createWatchHub({ clock, random: () => 0.5 });
    new Publisher(transport.hub, publisher.snapshot.items());
    await clock.advance(4_999);
    expect(transport.requests).toHaveLength(1);
    await clock.advance(1);
    expect(positions()).toEqual([undefined, 1n]);
    expect(events).toEqual([]);
  });

  it("waits five minutes at most, whatever a goodbye asks", async () => {
    const mirror = await open();
    hub.goodbye(GoodbyeReason.SHUTDOWN, 86_400_000);
    await settle();
    transport.hub = createWatchHub({ clock, random: () => 0.5 });
    new Publisher(transport.hub, publisher.snapshot.items());
    await clock.advance(299_999);
    expect(mirror.counts.attempts).toBe(1);
    await clock.advance(1);
    expect(mirror.counts.attempts).toBe(2);
  });

  it("comes back after its stream was recycled", async () => {
    transport.hub = createWatchHub({ clock, random: () => 0.5, maxAgeMs: 70_000 });
    publisher = new Publisher(transport.hub, [booleanFlag("a", 1)]);
    const mirror = await open();
    await clock.advance(70_000 + 750);
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect(mirror.boolean("a", true)).toBe(false);
    expect(mirror.counts.attempts).toBe(2);
  });
});

describe("something that cannot be right", () => {
  const cases: readonly [what: string, tamper: (message: WatchResponse) => WatchResponse | undefined, says: string][] =
    [
      ["a digest that does not match", ({ ...message }) => tampered(message, { digest: "00000000deadbeef" }), "digest"],
      ["a lost item", (message) => (message.items.length > 0 ? { ...message, items: [] } : message), "digest"],
      ["a delta from another epoch", (message) => tampered(message, { epoch: "other" }), "another epoch"],
      [
        "an update without a begin",
        ({ begin: _, ...message }) => create(WatchResponseSchema, message),
        "without a begin",
      ],
      ["a heartbeat within an update", (message) => ({ ...message, heartbeat: heartbeat(1n) }), "within an update"],
      [
        "a heartbeat of another epoch",
        () => create(WatchResponseSchema, { heartbeat: heartbeat(9n, "other") }),
        "from another epoch",
      ],
      ["a heartbeat that goes back", () => create(WatchResponseSchema, { heartbeat: heartbeat(0n) }), "went down"],
      [
        "a heartbeat that comes without what it should follow",
        () => create(WatchResponseSchema, { heartbeat: heartbeat(2n, "epoch-1", "00000000deadbeef") }),
        "something is missing",
      ],
      ["an update within another", () => twoBegins.shift(), "within another"],
    ];
  const twoBegins = [1, 2].map(() => create(WatchResponseSchema, { begin: { kind: 1 } }));

  it.each(cases)("%s: keeps the last known good and fetches everything again", async (_what, tamper, says) => {
    const mirror = await open();
    const { errors } = listen(mirror);
    transport.tamper = tamper;
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    if (says === "within another") {
      publisher.commit(booleanFlag("a", 3, "off"));
      await settle();
    }
    transport.tamper = (message) => message;
    expect(mirror.boolean("a", false)).toBe(true);
    expect(mirror.counts.resyncs).toBe(1);
    expect(errors[0]).toMatchObject({ kind: "protocol", message: expect.stringContaining(says) });
    await clock.advance(750);
    expect(positions()).toEqual([undefined, undefined]);
    expect(mirror.boolean("a", true)).toBe(false);
    expect(mirror.digest).toBe(publisher.snapshot.digest);
  });

  it("a stream that breaks while decoding: fetches everything again", async () => {
    const mirror = await open();
    transport.cut(new TransportError("INTERNAL", "cannot decode"));
    await clock.advance(750);
    expect(positions()).toEqual([undefined, undefined]);
    expect(mirror.counts.resyncs).toBe(1);
  });

  it("is not fetched more often than the backoff allows", async () => {
    const mirror = await open();
    transport.tamper = (message) => tampered(message, { digest: "00000000deadbeef" });
    transport.cut();
    await clock.advance(60_000);
    expect(mirror.counts.attempts).toBeLessThan(10);
    expect(mirror.boolean("a", false)).toBe(true);
  });
});

describe("silence", () => {
  it("makes it stale after three heartbeats, tears the connection down, and heals", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    transport.freeze();
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(44_999);
    expect(mirror.status).toBe("ready");
    expect(transport.openStreams).toBe(1);
    await clock.advance(1);
    expect(mirror.status).toBe("stale");
    expect(mirror.boolean("a", false)).toBe(true);
    expect(events).toEqual(["stale@1", "error silence"]);
    expect(transport.openStreams).toBe(0);
    transport.thaw();
    await clock.advance(1_000);
    expect(mirror.status).toBe("ready");
    expect(mirror.boolean("a", true)).toBe(false);
    expect(events).toEqual(["stale@1", "error silence", "ready@2", "change a@2"]);
    expect(positions()).toEqual([undefined, 1n]);
  });

  it("does not follow from quiet: heartbeats keep it ready for hours", async () => {
    const mirror = await open();
    const { events } = listen(mirror);
    await clock.advance(3 * 3_600_000);
    expect(mirror.status).toBe("ready");
    expect(events).toEqual([]);
  });

  it("is not what a long update is: each part of it keeps the mirror ready", async () => {
    hub = createWatchHub({ clock, random: () => 0.5, maxMessageBytes: 100 });
    const flags = (revision: number) => Array.from({ length: 12 }, (_, index) => booleanFlag(`f${index}`, revision));
    publisher = new Publisher(hub, flags(1));
    const slow = new SlowTransport(hub, clock);
    const mirror = await open({ transport: slow });
    const { events } = listen(mirror);
    slow.holdMs = 30_000;
    publisher.commit(...flags(2));
    await clock.advance(100_000);
    expect(mirror.revision).toBe(1);
    expect(mirror.status).toBe("ready");
    expect(events).toEqual([]);
    await clock.advance(600_000);
    expect(mirror.revision).toBe(2);
    expect(events).toEqual([expect.stringMatching(/^change/)]);
  });

  it("is given up sooner on a new connection", async () => {
    const mirror = await open();
    transport.freeze();
    transport.cut();
    await clock.advance(750 + 10_000);
    expect(transport.requests).toHaveLength(2);
    expect(transport.openStreams).toBe(0);
    expect(mirror.status).toBe("ready");
    await clock.advance(45_000);
    expect(mirror.status).toBe("stale");
  });
});

describe("closing", () => {
  it.each<[string, (mirror: Mirror) => Promise<void>]>([
    ["while it streams", async () => {}],
    [
      "while it pauses",
      async () => {
        transport.cut();
        await settle();
      },
    ],
    [
      "while it connects",
      async () => {
        transport.freeze();
        transport.cut();
        await clock.advance(1_000);
      },
    ],
  ])("%s leaves no timer, stream or watcher", async (_when, prepare) => {
    const mirror = await open();
    const { events } = listen(mirror);
    await prepare(mirror);
    const before = events.length;
    await mirror.close();
    await settle();
    expect(mirror.status).toBe("closed");
    expect(transport.isClosed).toBe(true);
    expect(transport.openStreams).toBe(0);
    expect(hub.counts().watchers).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(600_000);
    expect(mirror.boolean("a", false)).toBe(true);
    expect(events).toHaveLength(before);
  });

  it("tells listeners nothing more, from the call on", async () => {
    const mirror = await open();
    const told: string[] = [];
    mirror.on("change", () => {
      told.push("first");
      void mirror.close();
    });
    mirror.on("change", () => told.push("second"));
    publisher.commit(booleanFlag("a", 2));
    await settle();
    expect(told).toEqual(["first"]);
  });

  it("tells listeners nothing more while the cache is still written", async () => {
    const cache = {
      load: async () => undefined,
      save: async () => {
        throw new Error("the disk is full");
      },
    };
    const mirror = await open({ cache });
    await settle();
    publisher.commit(booleanFlag("a", 2));
    await settle();
    const { events } = listen(mirror);
    const closing = mirror.close();
    const late = listen(mirror);
    await closing;
    expect([...events, ...late.events]).toEqual([]);
  });

  it("lets go of the server first, and does not wait for ever for the cache", async () => {
    const log: string[] = [];
    const cache = { load: async () => undefined, save: () => new Promise<void>(() => {}) };
    const mirror = await open({ cache, log: ({ message }) => log.push(message) });
    let isClosed = false;
    const closing = mirror.close().then(() => {
      isClosed = true;
    });
    await clock.advance(1_999);
    expect(transport.isClosed).toBe(true);
    expect(isClosed).toBe(false);
    await clock.advance(1);
    await closing;
    expect(log).toEqual([expect.stringContaining("the cache is not written: it took longer than 2 s")]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("may be asked for twice, and by `await using`", async () => {
    const mirror = await open();
    await Promise.all([mirror.close(), mirror.close(), mirror[Symbol.asyncDispose]()]);
    expect(mirror.status).toBe("closed");
  });

  it("may be asked for by a listener", async () => {
    const mirror = await open();
    mirror.on("change", () => void mirror.close());
    publisher.commit(booleanFlag("a", 2));
    await settle();
    expect(mirror.status).toBe("closed");
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a log", () => {
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);

  beforeEach(() => {
    rejections.length = 0;
    process.on("unhandledRejection", onRejection);
  });

  afterEach(() => {
    process.off("unhandledRejection", onRejection);
  });

  it.each<[string, () => void]>([
    [
      "throws",
      () => {
        throw new Error("mine");
      },
    ],
    ["rejects", async () => Promise.reject(new Error("mine"))],
  ])("that %s disturbs nothing", async (_how, log) => {
    const mirror = await open({ log });
    const { events } = listen(mirror);
    hub.goodbye(GoodbyeReason.RECYCLED, 0);
    await settle();
    transport.hub = createWatchHub({ clock, random: () => 0.5 });
    publisher = new Publisher(transport.hub, [booleanFlag("a", 1), booleanFlag("b", 1, "off")]);
    await clock.advance(1_000);
    transport.tamper = (message) => tampered(message, { digest: "00000000deadbeef" });
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    transport.tamper = (message) => message;
    await clock.advance(5_000);
    expect(events).toEqual(["error protocol", "change a,b@2"]);
    expect(positions()).toEqual([undefined, 1n, undefined]);
    expect(rejections).toEqual([]);
  });

  it("is told of a listener that throws something without a text", async () => {
    const mirror = await open();
    const { errors } = listen(mirror);
    mirror.on("change", () => {
      throw Object.create(null);
    });
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect(errors[0]?.kind).toBe("listener");
    expect(rejections).toEqual([]);
  });
});

describe("segments", () => {
  it("are followed too", async () => {
    const mirror = await open();
    publisher.commit(segment("beta", 2, ["u1"]));
    await settle();
    expect(mirror.revision).toBe(2);
    expect(mirror.digest).toBe(publisher.snapshot.digest);
  });
});

/** Delivers each message so long after it was asked for. */
class SlowTransport extends HubTransport {
  holdMs = 0;

  constructor(
    hub: WatchHub,
    readonly clock: VirtualClock,
  ) {
    super(hub);
  }

  override async *watch(...args: Parameters<HubTransport["watch"]>): ReturnType<HubTransport["watch"]> {
    for await (const message of super.watch(...args)) {
      if (this.holdMs > 0) await new Promise<void>((resolve) => this.clock.after(this.holdMs, resolve));
      yield message;
    }
  }
}

function nobodyThere(): TransportError {
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  return new TransportError("UNAVAILABLE", cause.message, undefined, { cause });
}

function heartbeat(revision: bigint, epoch = "epoch-1", digest = "") {
  return create(WatchResponseSchema, { heartbeat: { position: { epoch, revision }, digest } }).heartbeat;
}

function tampered(message: WatchResponse, { digest, epoch }: { digest?: string; epoch?: string }): WatchResponse {
  if (message.commit !== undefined) {
    if (digest !== undefined) message.commit.digest = digest;
    if (epoch !== undefined && message.commit.position !== undefined) message.commit.position.epoch = epoch;
  }
  return message;
}
