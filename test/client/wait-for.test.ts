import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Mirror, MirrorError, type MirrorOptions, openMirror, type WaitOptions } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let clock: VirtualClock;
let publisher: Publisher;
let transport: HubTransport;
let mirror: Mirror;

beforeEach(async () => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  transport = new HubTransport(hub);
  mirror = await open();
});

afterEach(() => mirror.close());

function open(options: MirrorOptions = {}): Promise<Mirror> {
  return openMirror({ transport, clock, random: () => 0.5, ...options });
}

/** Notes how a wait ends: `reached`, or what it was rejected with. */
function wait(revision: number | bigint, options?: WaitOptions) {
  const outcome: { is: string | MirrorError } = { is: "waiting" };
  mirror.waitFor(revision, options).then(
    () => {
      outcome.is = "reached";
    },
    (error: MirrorError) => {
      outcome.is = error;
    },
  );
  return outcome;
}

/** Another server's data under the same address. */
function restore(revision: number): Publisher {
  transport.hub = createWatchHub({ clock, random: () => 0.5 });
  return new Publisher(transport.hub, [booleanFlag("z", 1)], revision, "production", "epoch-2");
}

describe("waiting for a revision", () => {
  it("ends when the mirror answers with it", async () => {
    const outcome = wait(2);
    await clock.advance(5_000);
    expect(outcome.is).toBe("waiting");
    let seen = true;
    void mirror.waitFor(2n).then(() => {
      seen = mirror.boolean("a", true);
    });
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect(outcome.is).toBe("reached");
    expect(seen).toBe(false);
  });

  it("ends at once where the mirror is there, or further", async () => {
    publisher.commit(booleanFlag("a", 2));
    await settle();
    await mirror.waitFor(2);
    await mirror.waitFor(1);
    await mirror.waitFor(0n);
  });

  it("ends with the bookmark of a revision that changed nothing here", async () => {
    const outcome = wait(2);
    publisher.commit();
    await clock.advance(1_000);
    expect(outcome.is).toBe("reached");
  });

  it("ends with what came while the connection was lost", async () => {
    const outcome = wait(3);
    transport.cut();
    publisher.commit(booleanFlag("a", 2));
    publisher.commit(booleanFlag("a", 3));
    await clock.advance(1_000);
    expect(outcome.is).toBe("reached");
  });

  it("is given up after 10 s, or when asked to, telling where the mirror is", async () => {
    const slow = wait(9);
    const quick = wait(9n, { timeoutMs: 50 });
    await clock.advance(50);
    expect(quick.is).toMatchObject({
      name: "MirrorError",
      kind: "timeout",
      message: "revision 9 did not come within 0.05 s; the mirror is ready, at revision 1",
    });
    await clock.advance(9_949);
    expect(slow.is).toBe("waiting");
    await clock.advance(1);
    expect(slow.is).toMatchObject({ kind: "timeout" });
  });

  it("is given up by its signal, before or while it waits", async () => {
    const abort = new AbortController();
    const outcome = wait(9, { signal: abort.signal });
    abort.abort("mine");
    await settle();
    expect(outcome.is).toMatchObject({
      kind: "aborted",
      cause: "mine",
      message: "waiting for revision 9 was given up",
    });
    await expect(mirror.waitFor(9, { signal: abort.signal })).rejects.toMatchObject({ kind: "aborted" });
  });

  it("ends with the mirror; what it has is there all the same", async () => {
    const outcome = wait(9);
    await mirror.close();
    expect(outcome.is).toMatchObject({
      kind: "closed",
      message: "the mirror was closed before it reached revision 9; the mirror is closed, at revision 1",
    });
    await expect(mirror.waitFor(9)).rejects.toBeInstanceOf(MirrorError);
    await mirror.waitFor(1);
  });

  it("takes a revision as JSON has it", async () => {
    await mirror.waitFor("1");
  });

  it.each([-1, 1.5, Number.NaN, -1n, "", "0x1", "-1", {} as unknown as number])(
    "refuses %s, which is no revision",
    async (revision) => {
      await expect(mirror.waitFor(revision)).rejects.toThrow(TypeError);
    },
  );

  it.each([-1, Number.NaN, "5" as unknown as number])("refuses a limit of %s, which is no time", async (timeoutMs) => {
    await expect(mirror.waitFor(9, { timeoutMs })).rejects.toThrow(/timeoutMs must be a number of milliseconds/);
  });

  it("ends well although a listener of that very change closes the mirror", async () => {
    mirror.on("change", () => void mirror.close());
    const outcome = wait(2);
    publisher.commit(booleanFlag("a", 2, "off"));
    await settle();
    expect([mirror.status, outcome.is]).toEqual(["closed", "reached"]);
  });

  it("leaves no timer and no listener, however it ends", async () => {
    const timers = clock.pendingTimers;
    let listeners = 0;
    const signal = new AbortController().signal;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof add>) => {
        listeners++;
        add(...args);
      },
      removeEventListener: (...args: Parameters<typeof remove>) => {
        listeners--;
        remove(...args);
      },
    });
    wait(2, { signal });
    wait(9, { signal, timeoutMs: 1_000 });
    expect(clock.pendingTimers).toBe(timers + 2);
    expect(listeners).toBe(2);
    publisher.commit(booleanFlag("a", 2));
    await clock.advance(2_000);
    expect(clock.pendingTimers).toBe(timers);
    expect(listeners).toBe(0);
  });
});

describe("a revision of other data", () => {
  it("is not what was waited for: a wait ends as soon as the server's data are others", async () => {
    const outcome = wait(2);
    restore(7);
    transport.cut();
    await clock.advance(1_000);
    expect(mirror.revision).toBe(7);
    expect(outcome.is).toMatchObject({
      kind: "epoch",
      message: expect.stringMatching(/data were replaced.* while revision 2 was waited for.*at revision 7/),
    });
    await mirror.waitFor(7);
  });

  it("is not that of a cache: the server has to be heard first", async () => {
    let kept: Uint8Array | undefined;
    const cache = {
      load: async () => kept,
      save: async (bytes: Uint8Array) => {
        kept = bytes;
      },
    };
    for (let revision = 2; revision <= 9; revision++) publisher.commit(booleanFlag("a", revision));
    await (await open({ cache })).close();
    await mirror.close();
    transport = new HubTransport(transport.hub);
    const restored = restore(3);
    transport.freeze();
    const opening = open({ cache });
    await clock.advance(2_000);
    mirror = await opening;
    expect(mirror.revision).toBe(9);
    const outcome = wait(5, { timeoutMs: 60_000 });
    await settle();
    expect(outcome.is).toBe("waiting");
    transport.thaw();
    await clock.advance(20_000);
    expect([mirror.revision, outcome.is]).toEqual([3, "waiting"]);
    restored.commit(booleanFlag("z", 4));
    restored.commit(booleanFlag("z", 5));
    await settle();
    expect(outcome.is).toBe("reached");
  });
});

describe("waiting while the mirror polls", () => {
  const isPoll = () => transport.requests.at(-1)?.once === true;

  beforeEach(async () => {
    transport.cut();
    for (let time = 0; time < 100 && mirror.delivery === "stream"; time++) {
      await clock.advance(400);
      // A proxy that cuts streams and lets polls through.
      if (!isPoll()) transport.cut();
    }
    expect(mirror.delivery).toBe("poll");
    await clock.advance(1_000);
  });

  it("does not wait for long for a stream that is tried and stalls", async () => {
    for (let time = 0; time < 300 && isPoll(); time++) await clock.advance(1_000);
    expect(transport.openStreams).toBe(1);
    transport.tamper = (message) => (isPoll() ? message : undefined);
    publisher.commit(booleanFlag("a", 2));
    const outcome = wait(2);
    for (let time = 0; time < 5; time++) {
      await clock.advance(500);
      wait(2);
    }
    expect(outcome.is).toBe("reached");
    expect(mirror.delivery).toBe("poll");
  });

  it("asks at once, but not more than once a second", async () => {
    const before = transport.requests.length;
    publisher.commit(booleanFlag("a", 2));
    const first = wait(2);
    await clock.advance(1_000);
    expect(first.is).toBe("reached");
    expect(transport.requests.length).toBeLessThanOrEqual(before + 1);
    for (let time = 0; time < 100; time++) {
      wait(99, { timeoutMs: 100 });
      await clock.advance(20);
    }
    expect(transport.requests.length).toBeLessThanOrEqual(before + 4);
  });

  it("asks every second for what the first poll did not bring", async () => {
    const outcome = wait(2);
    await clock.advance(1_500);
    publisher.commit(booleanFlag("a", 2));
    await clock.advance(1_000);
    expect(outcome.is).toBe("reached");
  });

  it("asks again for what a poll on its way may not bring any more", async () => {
    let release = (): void => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { watch } = transport;
    transport.watch = async function* (request, signal) {
      for await (const message of watch.call(transport, request, signal)) {
        await slow;
        yield message;
      }
    };
    const { polls } = mirror.counts;
    while (mirror.counts.polls === polls) await clock.advance(100);
    publisher.commit(booleanFlag("a", 2));
    const outcome = wait(2);
    release();
    await clock.advance(1_000);
    expect(outcome.is).toBe("reached");
  });

  it("returns to streams although somebody always waits for the next change", async () => {
    let isOver = false;
    const following = (async () => {
      while (!isOver && mirror.status !== "closed") await mirror.waitFor(mirror.revision + 1).catch(() => {});
    })();
    // Streams work again.
    await clock.advance(1_800_000);
    expect(mirror.delivery).toBe("stream");
    isOver = true;
    await clock.advance(10_000);
    await following;
  });

  it("never puts off a poll", async () => {
    await mirror.close();
    mirror = await open({ pollIntervalMs: 200 });
    transport.cut();
    for (let time = 0; time < 100 && mirror.delivery === "stream"; time++) {
      await clock.advance(400);
      if (!isPoll()) transport.cut();
    }
    const { polls } = mirror.counts;
    while (mirror.counts.polls === polls) await clock.advance(10);
    publisher.commit(booleanFlag("a", 2));
    const outcome = wait(2);
    await clock.advance(200);
    expect(outcome.is).toBe("reached");
  });
});
