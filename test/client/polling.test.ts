import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { type Mirror, type MirrorOptions, openMirror, TransportError } from "../../src/client/index.js";
import { createWatchHub, type WatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

/** What a proxy in between does. */
type Proxy =
  | "passes"
  | "stalls streams after 30 s"
  | "holds streams back"
  | "cuts streams"
  | "lets nothing through"
  | "cuts all"
  | "refuses streams";

class ProxiedTransport extends HubTransport {
  proxy: Proxy = "passes";
  /** What becomes of a stream that is refused. */
  streamError = new TransportError("INTERNAL", "HTTP 400");

  override async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    const stallsAtMs = this.proxy === "stalls streams after 30 s" ? clock.monotonicMs() + 30_000 : 0;
    if (this.proxy === "refuses streams" && !request.once) {
      this.requests.push(request);
      throw this.streamError;
    }
    const isSpoilt = this.proxy !== "passes" && (!request.once || this.proxy === "lets nothing through");
    const isCut = this.proxy === "cuts all" || (this.proxy === "cuts streams" && !request.once);
    for await (const message of super.watch(request, signal)) {
      if (isSpoilt && !isCut && clock.monotonicMs() >= stallsAtMs) await aborted(signal);
      if (this.proxy !== "cuts all") yield message;
      if (isCut) throw new TransportError("UNAVAILABLE", "connection reset");
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new TransportError("CANCELLED", "the client went away")));
  });
}

let clock: VirtualClock;
let hub: WatchHub;
let publisher: Publisher;
let transport: ProxiedTransport;
let log: string[];
let events: string[];
const opened: Mirror[] = [];

beforeEach(() => {
  clock = new VirtualClock();
  hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  transport = new ProxiedTransport(hub);
  log = [];
  events = [];
});

afterEach(async () => {
  for (const mirror of opened.splice(0)) await mirror.close();
});

/** With this chance a pause between polls is 7.5 s, and streams are tried again after 3 min. */
async function open(options: MirrorOptions = {}): Promise<Mirror> {
  const mirror = await openMirror({
    transport,
    clock,
    random: () => 0.5,
    log: ({ message }) => log.push(message),
    ...options,
  });
  opened.push(mirror);
  mirror.on("stale", () => events.push("stale"));
  mirror.on("ready", () => events.push("ready"));
  mirror.on("error", ({ kind }) => events.push(`error ${kind}`));
  return mirror;
}

/** Opens through a proxy while the clock stands still, so that time has to be let pass. */
async function openAfter(ms: number, options: MirrorOptions = {}): Promise<Mirror> {
  const opening = open(options);
  opening.catch(() => {});
  await clock.advance(ms);
  return opening;
}

const polls = () => transport.requests.filter(({ once }) => once);

describe("a proxy that cuts streams", () => {
  it("is met by polls, from the same positions, within the interval", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    expect(mirror.delivery).toBe("poll");
    expect(log.join("\n")).toMatch(/streams from http:\/\/hub\.test do not last: it is polled, every 10 s/);
    for (let revision = 2; revision <= 20; revision++) {
      publisher.commit(booleanFlag("a", revision, revision % 2 === 0 ? "off" : "on"));
      await clock.advance(10_000);
      expect(mirror.revision).toBe(revision);
      expect(mirror.boolean("a", revision % 2 === 0)).toBe(revision % 2 !== 0);
    }
    expect(mirror.digest).toBe(publisher.snapshot.digest);
    expect(mirror.status).toBe("ready");
    expect(mirror.counts).toMatchObject({ fulls: 1, resyncs: 0 });
    expect(mirror.counts.polls).toBe(polls().length);
    expect(polls().every(({ position }) => position !== undefined)).toBe(true);
  });

  it("is told once, as it begins; while it polls nothing is an error", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    expect(events).toEqual(["error connection", "error connection"]);
    await clock.advance(3_600_000);
    expect(events).toEqual(["error connection", "error connection"]);
    expect(mirror.delivery).toBe("poll");
    expect(log.filter((line) => line.includes("do not last"))).toHaveLength(1);
  });

  it("is tried with a stream every few minutes, and streamed through when it is gone", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    const before = transport.requests.length;
    await clock.advance(3_600_000);
    const streams = transport.requests.slice(before).filter(({ once }) => !once);
    expect(streams.length).toBeGreaterThan(15);
    expect(streams.length).toBeLessThan(25);
    transport.proxy = "passes";
    await clock.advance(200_000 + 75_000);
    expect(mirror.delivery).toBe("stream");
    expect(log.at(-1)).toContain("updates come by a stream from http://hub.test again");
    const polledBefore = polls().length;
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect(mirror.boolean("a", true)).toBe(false);
    await clock.advance(3_600_000);
    expect(polls()).toHaveLength(polledBefore);
  });

  it("is met by streams again after three polls have failed, with the backoff", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    transport.proxy = "cuts all";
    await clock.advance(15_000);
    expect(mirror.delivery).toBe("stream");
    expect(log).toContain("http://hub.test cannot be polled any more: streams are tried");
    expect(log.join("\n")).not.toContain("again");
    await clock.advance(60_000);
    expect(mirror.status).toBe("stale");
    const before = transport.requests.length;
    await clock.advance(600_000);
    expect(transport.requests.length - before).toBeLessThan(45);
    transport.proxy = "passes";
    await clock.advance(31_000);
    expect(mirror.status).toBe("ready");
  });
});

describe("a proxy whose answer to streams cannot be right", () => {
  it("is met by polls, after no more than two attempts that fetch everything", async () => {
    const mirror = await open();
    transport.proxy = "refuses streams";
    transport.cut();
    await clock.advance(60_000);
    expect(mirror.delivery).toBe("poll");
    const { resyncs } = mirror.counts;
    expect(resyncs).toBeLessThanOrEqual(2);
    events = [];
    for (let revision = 2; revision <= 400; revision++) {
      publisher.commit(booleanFlag("a", revision));
      await clock.advance(10_000);
      expect(mirror.revision).toBe(revision);
    }
    expect(mirror.counts.resyncs).toBe(resyncs);
    expect(events).toEqual([]);
  });

  it.each(["INTERNAL", "DATA_LOSS", "INVALID_ARGUMENT", "PERMISSION_DENIED"] as const)(
    "goes on being polled where a stream that is tried is answered with %s",
    async (code) => {
      const mirror = await open();
      transport.proxy = "cuts streams";
      transport.cut();
      await clock.advance(20_000);
      transport.proxy = "refuses streams";
      transport.streamError = new TransportError(code, "no");
      await clock.advance(600_000);
      publisher.commit(booleanFlag("a", 2));
      await clock.advance(10_000);
      expect(mirror.revision).toBe(2);
      expect(mirror.delivery).toBe("poll");
      expect(mirror.counts.resyncs).toBe(0);
      const streams = transport.requests.filter(({ once }) => !once).length;
      await clock.advance(3_600_000);
      expect(transport.requests.filter(({ once }) => !once).length - streams).toBeLessThan(25);
    },
  );
});

describe("a proxy that garbles streams", () => {
  it("goes on being polled, and everything is fetched once for each stream that is tried", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    transport.proxy = "passes";
    transport.tamper = (message) => {
      const isStream = transport.requests.at(-1)?.once === false;
      if (isStream && message.commit !== undefined) message.commit.digest = "00000000deadbeef";
      return message;
    };
    await clock.advance(3_600_000);
    publisher.commit(booleanFlag("a", 2));
    await clock.advance(120_000);
    expect([mirror.delivery, mirror.revision]).toEqual(["poll", 2]);
    expect(mirror.counts.resyncs).toBeGreaterThan(5);
    expect(mirror.counts.resyncs).toBeLessThan(25);
  });
});

describe("a server that goes away while it is polled", () => {
  it("is asked by polls alone, as often as the backoff says, and polled again as soon as it is back", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    transport.refusal = new TransportError("UNAVAILABLE", cause.message, undefined, { cause });
    const before = transport.requests.length;
    await clock.advance(3_600_000);
    const asked = transport.requests.slice(before);
    expect(asked.length).toBeLessThan(270);
    // One each three minutes is a stream that is tried.
    expect(asked.filter(({ once }) => !once).length).toBeLessThan(25);
    expect([mirror.delivery, mirror.status]).toEqual(["poll", "stale"]);
    expect(log.join("\n")).not.toContain("again");
    transport.refusal = undefined;
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(31_000);
    expect(mirror.boolean("a", true)).toBe(false);
    expect([mirror.delivery, mirror.status]).toEqual(["poll", "ready"]);
    // The next outage begins with short pauses again.
    transport.refusal = new TransportError("UNAVAILABLE", cause.message, undefined, { cause });
    const polled = transport.requests.length;
    await clock.advance(20_000);
    expect(transport.requests.length - polled).toBeGreaterThanOrEqual(4);
  });
});

describe("a proxy that holds streams back", () => {
  it("does not keep a mirror from opening in time", async () => {
    transport.proxy = "holds streams back";
    const mirror = await openAfter(7_000);
    expect(mirror.boolean("a", false)).toBe(true);
    expect(mirror.status).toBe("ready");
  });

  it("makes the mirror stale once at most, and no more once it polls, for hours", async () => {
    const mirror = await open();
    transport.proxy = "holds streams back";
    transport.cut();
    await clock.advance(60_000);
    expect(mirror.delivery).toBe("poll");
    events = [];
    await clock.advance(6 * 3_600_000);
    expect(events).toEqual([]);
    expect(mirror.status).toBe("ready");
    expect(mirror.counts).toMatchObject({ fulls: 1, resyncs: 0 });
  });

  it("does not make a change wait for long, also while a stream is tried", async () => {
    const mirror = await openAfter(10_000);
    transport.proxy = "holds streams back";
    transport.cut();
    await clock.advance(60_000);
    let longestMs = 0;
    for (let revision = 2; revision <= 200; revision++) {
      publisher.commit(booleanFlag("a", revision));
      let waitedMs = 0;
      while (mirror.revision < revision) {
        await clock.advance(500);
        waitedMs += 500;
      }
      longestMs = Math.max(longestMs, waitedMs);
    }
    expect(longestMs).toBeLessThanOrEqual(7_500 + 5_000 + 500);
  });
});

describe("a proxy that stalls streams after a while", () => {
  it("is met by polls, though each stream was open for more than a minute", async () => {
    transport.proxy = "stalls streams after 30 s";
    const mirror = await open();
    await clock.advance(240_000);
    expect(mirror.delivery).toBe("poll");
    events = [];
    await clock.advance(3_600_000);
    expect(events).toEqual([]);
  });
});

describe("polling", () => {
  it("is not for a server that is away", async () => {
    const mirror = await open();
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    transport.refusal = new TransportError("UNAVAILABLE", cause.message, undefined, { cause });
    transport.cut();
    await clock.advance(600_000);
    expect(polls()).toEqual([]);
    transport.refusal = undefined;
    await clock.advance(31_000);
    expect(mirror.status).toBe("ready");
    expect(mirror.delivery).toBe("stream");
  });

  it("is not for goodbyes, however many", async () => {
    const mirror = await open();
    for (let time = 0; time < 10; time++) {
      transport.hub.goodbye(GoodbyeReason.RECYCLED, 0);
      await settle();
      transport.hub = createWatchHub({ clock, random: () => 0.5 });
      new Publisher(transport.hub, publisher.snapshot.items());
      await clock.advance(31_000);
    }
    expect(polls()).toEqual([]);
    expect(mirror.status).toBe("ready");
  });

  it("is not for a server that refuses", async () => {
    const mirror = await open();
    transport.refusal = new TransportError("UNAUTHENTICATED", "the token was revoked");
    transport.cut();
    await clock.advance(600_000);
    expect(polls().length).toBeLessThanOrEqual(1);
    expect(events.filter((event) => event === "error refused").length).toBeGreaterThan(10);
    expect(mirror.delivery).toBe("stream");
  });

  it("is not what remains of a server that was restarted twice", async () => {
    const mirror = await open();
    for (let time = 0; time < 2; time++) {
      transport.cut();
      await clock.advance(10_000);
    }
    expect(mirror.delivery).toBe("stream");
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect(mirror.boolean("a", true)).toBe(false);
    await clock.advance(3_600_000);
    expect(transport.openStreams).toBe(1);
    expect(log.join("\n")).not.toContain("do not last");
  });

  it("drops the position where what came cannot be right, keeps the last known good, and fetches all", async () => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    transport.tamper = (message) => {
      if (message.commit !== undefined) message.commit.digest = "00000000deadbeef";
      return message;
    };
    publisher.commit(booleanFlag("a", 2, "off"));
    while (mirror.counts.resyncs === 0) await clock.advance(100);
    transport.tamper = (message) => message;
    expect(mirror.boolean("a", false)).toBe(true);
    expect(events.at(-1)).toBe("error protocol");
    await clock.advance(8_000);
    expect(mirror.boolean("a", true)).toBe(false);
    expect(mirror.counts).toMatchObject({ fulls: 2, resyncs: 1 });
    expect(mirror.digest).toBe(publisher.snapshot.digest);
  });

  it.each([
    ["between two polls", async () => {}],
    [
      "while it asks",
      async () => {
        transport.proxy = "lets nothing through";
        await clock.advance(10_000);
      },
    ],
  ])("ends with closing, %s, and leaves nothing", async (_when, prepare) => {
    const mirror = await open();
    transport.proxy = "cuts streams";
    transport.cut();
    await clock.advance(20_000);
    await prepare();
    await mirror.close();
    await settle();
    expect(clock.pendingTimers).toBe(0);
    expect(transport.openStreams).toBe(0);
    expect(hub.counts().watchers).toBe(0);
  });
});

describe("a server whose digest is always wrong", () => {
  it.each<Proxy>(["passes", "cuts streams"])(
    "is asked for everything ever more rarely, where a proxy %s",
    async (proxy) => {
      const mirror = await open();
      transport.proxy = proxy;
      transport.tamper = (message) => {
        if (message.commit !== undefined) message.commit.digest = "00000000deadbeef";
        return message;
      };
      transport.cut();
      await clock.advance(600_000);
      const asked = () => transport.requests.filter(({ position }) => position === undefined).length;
      const before = asked();
      await clock.advance(3_600_000);
      // Pauses of a minute with this chance: half of the two that are the limit.
      expect(asked() - before).toBeLessThanOrEqual(62);
      expect(mirror.boolean("a", false)).toBe(true);
      transport.tamper = (message) => message;
      await clock.advance(120_000);
      expect(mirror.status).toBe("ready");
    },
  );

  it("is asked so also where only changes are wrong, and everything is right", async () => {
    const mirror = await open();
    transport.tamper = (message) => {
      if (message.commit !== undefined && message.begin?.kind === 2) message.commit.digest = "00000000deadbeef";
      return message;
    };
    for (let revision = 2; revision <= 722; revision++) {
      publisher.commit(booleanFlag("a", revision));
      await clock.advance(5_000);
    }
    expect(mirror.counts.resyncs).toBeLessThan(70);
  });
});
