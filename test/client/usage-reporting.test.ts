import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Mirror, type MirrorOptions, openMirror, TransportError } from "../../src/client/index.js";
import { UsageReporter } from "../../src/client/usage-reporter.js";
import { createWatchHub } from "../../src/watch/index.js";
import { booleanFlag, deletedFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";
import { CountingTransport } from "./counting-transport.js";

let clock: VirtualClock;
let publisher: Publisher;
let transport: CountingTransport;
let mirror: Mirror;
let log: string[];

beforeEach(async () => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1), booleanFlag("b", 1, "off")]);
  transport = new CountingTransport(hub);
  log = [];
  mirror = await open();
});

afterEach(() => mirror.close());

/** With this chance it reports every minute sharp. */
function open(options: MirrorOptions = {}): Promise<Mirror> {
  return openMirror({ transport, clock, random: () => 0.5, log: ({ message }) => log.push(message), ...options });
}

function ask(key: string, times = 1): void {
  for (let time = 0; time < times; time++) mirror.boolean(key, false);
}

/** So many flags, asked once each. */
async function askMany(length: number): Promise<void> {
  const keys = Array.from({ length }, (_, index) => `f${index}`);
  publisher.commit(...keys.map((key) => booleanFlag(key, 2)));
  await settle();
  for (const key of keys) ask(key);
}

const sizes = () => transport.reports.map(({ counts }) => counts.length);
const fails = (code: TransportError["code"]) => async () => {
  throw new TransportError(code, "no");
};
const ids = () => transport.reports.map(({ reportId }) => reportId);

describe("a mirror's reports", () => {
  it("tell every minute what was answered since the last one, and when", async () => {
    const openedAtMs = clock.now();
    ask("a", 3);
    await clock.advance(59_999);
    expect(transport.told).toEqual([]);
    await clock.advance(1);
    expect(transport.told).toEqual(["a on 3 @ 1"]);
    expect(transport.reports[0]).toMatchObject({ environment: "production", clientName: "flagwire" });
    ask("b", 2);
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    ask("a", 1);
    await clock.advance(60_000);
    expect(transport.told.slice(1)).toEqual(["a off 1 @ 2, b off 2 @ 2"]);
    const times = transport.reports.flatMap(({ startTime, endTime }) =>
      [startTime, endTime].map((time) => (time === undefined ? 0 : timestampMs(time) - openedAtMs)),
    );
    expect(times).toEqual([0, 60_000, 60_000, 120_000]);
    expect(new Set(ids()).size).toBe(2);
  });

  it("are not made where there is nothing to tell", async () => {
    await clock.advance(600_000);
    expect(transport.reports).toEqual([]);
    await mirror.close();
    expect(transport.reports).toEqual([]);
  });

  it("are repeated as they were, under the same id, until their outcome is known", async () => {
    transport.answer = fails("UNAVAILABLE");
    ask("a", 3);
    await clock.advance(60_000);
    ask("a", 4);
    ask("b", 1);
    await clock.advance(120_000);
    expect(transport.told).toEqual(["a on 3 @ 1", "a on 3 @ 1", "a on 3 @ 1"]);
    expect(new Set(ids()).size).toBe(1);
    transport.answer = async () => {};
    await clock.advance(60_000);
    expect(transport.told.slice(3)).toEqual(["a on 3 @ 1", "a on 4 @ 1, b off 1 @ 1"]);
    expect(new Set(ids()).size).toBe(2);
  });

  it("are repeated too where nobody answered within ten seconds", async () => {
    transport.answer = () => new Promise(() => {});
    ask("a", 3);
    await clock.advance(60_000 + 10_000);
    transport.answer = async () => {};
    await clock.advance(60_000);
    expect(transport.told).toEqual(["a on 3 @ 1", "a on 3 @ 1"]);
    expect(new Set(ids()).size).toBe(1);
    ask("a", 1);
    await clock.advance(60_000);
    expect(transport.told.at(-1)).toBe("a on 1 @ 1");
  });

  it("are logged once in an outage, and once when it is over; they are no error of the mirror", async () => {
    let errors = 0;
    mirror.on("error", () => errors++);
    transport.answer = fails("UNAVAILABLE");
    ask("a");
    await clock.advance(3_600_000);
    expect(transport.reports.length).toBeGreaterThan(50);
    const told = () => log.filter((line) => line.startsWith("usage"));
    expect(told()).toEqual([expect.stringContaining("usage cannot be reported to http://hub.test: no")]);
    transport.answer = async () => {};
    await clock.advance(60_000);
    expect(told().slice(1)).toEqual([expect.stringContaining("usage is reported to http://hub.test again")]);
    expect(errors).toBe(0);
  });

  it("stop for an hour where the server does not know them, and lose nothing", async () => {
    transport.answer = fails("UNIMPLEMENTED");
    ask("a");
    await clock.advance(60_000 + 3_599_999);
    expect(transport.reports).toHaveLength(1);
    ask("a");
    transport.answer = async () => {};
    await clock.advance(1);
    expect(transport.told).toEqual(["a on 1 @ 1", "a on 1 @ 1", "a on 1 @ 1"]);
  });

  it("are dropped where they would be refused for ever", async () => {
    transport.answer = fails("INVALID_ARGUMENT");
    ask("a", 2);
    await clock.advance(60_000);
    transport.answer = async () => {};
    ask("b");
    await clock.advance(60_000);
    expect(transport.told).toEqual(["a on 2 @ 1", "b off 1 @ 1"]);
  });

  it("have at most 1,000 counts; what is more follows at once", async () => {
    await askMany(2_500);
    await clock.advance(60_000);
    expect(sizes()).toEqual([1_000, 1_000, 500]);
    expect(new Set(ids()).size).toBe(3);
  });

  it("are divided where they are refused for their size, and stay small", async () => {
    transport.answer = async () => {
      if ((sizes().at(-1) ?? 0) > 300) throw new TransportError("RESOURCE_EXHAUSTED", "HTTP 413");
    };
    await askMany(1_200);
    await clock.advance(60_000);
    const taken = transport.reports.filter(({ counts }) => counts.length <= 300);
    expect(sizes()).toEqual([1_000, 500, 250, 250, 500, 250, 250, 200]);
    expect(new Set(taken.flatMap(({ counts }) => counts.map(({ flagKey }) => flagKey))).size).toBe(1_200);
    expect(new Set(ids()).size).toBe(sizes().length);
    expect(log).toEqual([]);
    await askMany(1_200);
    await clock.advance(60_000);
    expect(sizes().slice(8)).toEqual([250, 250, 250, 250, 200]);
  });

  it("are repeated as they are where they are as small as makes sense", async () => {
    transport.answer = fails("RESOURCE_EXHAUSTED");
    await askMany(400);
    await clock.advance(180_000);
    expect(sizes()).toEqual([400, 200, 100, 50, 50, 50]);
    transport.answer = async () => {};
    await clock.advance(60_000);
    expect(sizes().slice(6)).toEqual([50, 50, 100, 200]);
  });

  it("are repeated whole where they are refused for the token's rate", async () => {
    transport.answer = async () => {
      throw new TransportError("RESOURCE_EXHAUSTED", "no", "CALL_RATE_EXCEEDED");
    };
    await askMany(400);
    await clock.advance(120_000);
    expect(sizes()).toEqual([400, 400]);
    expect(new Set(ids()).size).toBe(1);
  });

  it("tell no higher count than the server takes, so that the rest is not refused with it", async () => {
    const usages = [
      { flagKey: "a", variant: "on", count: 2e12, revision: 1 },
      { flagKey: "b", variant: "on", count: 5, revision: 1 },
    ];
    const reporter = new UsageReporter({
      environment: "production",
      clientName: "flagwire",
      address: transport.address,
      send: (request, signal) => transport.reportUsage(request, signal),
      samples: undefined,
      take: () => usages.splice(0),
      intervalMs: 60_000,
      createId: () => "1",
      clock,
      random: () => 0.5,
      log: () => {},
    });
    await reporter.close(1_000);
    expect(transport.told).toEqual(["a on 1000000000000 @ 1, b on 5 @ 1"]);
  });

  it("keep a bounded number of counts while the server is away, whatever comes and goes", {
    timeout: 60_000,
  }, async () => {
    transport.answer = fails("UNAVAILABLE");
    ask("a");
    await clock.advance(60_000);
    for (let round = 0; round < 11; round++) {
      const keys = Array.from({ length: 10_000 }, (_, index) => `r${round}-${index}`);
      publisher.commit(...keys.map((key) => booleanFlag(key, 2)));
      await settle();
      for (const key of keys) ask(key);
      publisher.commit(...keys.map(deletedFlag));
      await settle();
    }
    expect(mirror.takeUsage()).toHaveLength(100_000);
  });

  it("go to the server or to `takeUsage`, each count to one of them", async () => {
    ask("a", 2);
    expect(mirror.takeUsage()).toMatchObject([{ flagKey: "a", count: 2 }]);
    ask("a", 3);
    await clock.advance(60_000);
    expect(transport.told).toEqual(["a on 3 @ 1"]);
    expect(mirror.takeUsage()).toEqual([]);
  });

  it("can be switched off, and made more often", async () => {
    await mirror.close();
    mirror = await open({ reportUsage: false });
    ask("a", 2);
    await clock.advance(600_000);
    expect(mirror.takeUsage()).toMatchObject([{ flagKey: "a", count: 2 }]);
    await mirror.close();
    expect(transport.reports).toEqual([]);
    mirror = await open({ reportUsage: { intervalMs: 1_000 } });
    ask("a", 2);
    await clock.advance(1_000);
    expect(transport.told).toEqual(["a on 2 @ 1"]);
  });
});

describe("closing", () => {
  it("reports what is left, before the server is let go of", async () => {
    ask("a", 2);
    await mirror.close();
    expect(transport.told).toEqual(["a on 2 @ 1"]);
    expect([transport.isClosedAtLastReport, transport.isClosed]).toEqual([false, true]);
    expect(clock.pendingTimers).toBe(0);
    expect(transport.openStreams).toBe(0);
  });

  it("repeats what was on its way, under its id, and then the rest", async () => {
    transport.answer = () => new Promise(() => {});
    ask("a", 2);
    await clock.advance(60_000);
    transport.answer = async () => {};
    ask("a", 1);
    await mirror.close();
    expect(transport.told).toEqual(["a on 2 @ 1", "a on 2 @ 1", "a on 1 @ 1"]);
    expect(new Set(ids()).size).toBe(2);
  });

  it.each<[string, () => Promise<void>]>([
    ["says nothing", () => new Promise(() => {})],
    ["is away", fails("UNAVAILABLE")],
  ])("takes a second at most where the server %s", async (_what, answer) => {
    transport.answer = answer;
    ask("a");
    const closing = mirror.close();
    await clock.advance(1_000);
    await closing;
    expect(transport.isClosed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(600_000);
    expect(transport.reports).toHaveLength(1);
  });
});
