import {
  type EventDetails,
  InMemoryProvider,
  OpenFeature,
  ProviderEvents,
  ProviderStatus,
} from "@openfeature/server-sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type MirrorCache, type MirrorOptions, openMirror, TransportError } from "../../src/client/index.js";
import { FlagwireProvider } from "../../src/openfeature/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { CountingTransport } from "../client/counting-transport.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

const client = OpenFeature.getClient();
const away = new TransportError("UNAVAILABLE", "connect ECONNREFUSED");
const unknownToken = new TransportError("UNAUTHENTICATED", "the token is unknown");
/** The flag `a` as a file, where it is off. */
const bootstrap = {
  flags: [{ key: "a", type: "FLAG_TYPE_BOOLEAN", kind: "FLAG_KIND_OPERATIONAL", variants: { on: true, off: false } }],
  targetings: [{ flagKey: "a", enabled: true, default: { variant: "off" } }],
};

let clock: VirtualClock;
let publisher: Publisher;
let transport: HubTransport;
let events: string[];
let stopListening: (() => void)[];

beforeEach(() => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1)]);
  transport = new HubTransport(hub);
  events = [];
  stopListening = [];
  for (const event of [ProviderEvents.Ready, ProviderEvents.Stale, ProviderEvents.Error]) {
    listen(event, (details) => events.push(details?.message ? `${event}: ${details.message}` : event));
  }
  listen(ProviderEvents.ConfigurationChanged, (details) => {
    const { environment, revision } = details?.metadata ?? {};
    events.push(`changed ${details?.flagsChanged} of ${environment} at ${revision}`);
  });
  // There was a provider of nothing before, which is ready.
  events.length = 0;
});

afterEach(async () => {
  transport.thaw();
  for (const stop of stopListening) stop();
  await OpenFeature.clearProviders();
});

function listen(event: ProviderEvents, handler: (details?: EventDetails<ProviderEvents>) => void): void {
  client.addHandler(event, handler);
  stopListening.push(() => client.removeHandler(event, handler));
}

/** Sets a provider on the transport. Its promise is there once it is initialized. */
function set(options: Partial<MirrorOptions> = {}): Promise<unknown> {
  const provider = new FlagwireProvider({ transport, clock, random: () => 0.5, reportUsage: false, ...options });
  return OpenFeature.setProviderAndWait(provider).then(
    () => undefined,
    (error: unknown) => error,
  );
}

const isOn = () => client.getBooleanDetails("a", false);

describe("a provider whose server is there", () => {
  it("is ready, and tells changes with their keys", async () => {
    expect(await set()).toBeUndefined();
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    publisher.commit(booleanFlag("a", 2, "off"), booleanFlag("b", 2));
    await clock.advance(1_000);
    expect(events).toEqual(["PROVIDER_READY", "changed a,b of production at 2"]);
    expect(await isOn()).toMatchObject({ value: false, variant: "off" });
  });

  it("is stale when the server falls silent, answers on, and is ready when it speaks again", async () => {
    await set();
    // What was mended long ago is not what is wrong now.
    transport.cut();
    await clock.advance(10_000);
    transport.freeze();
    await clock.advance(46_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await isOn()).toMatchObject({ value: true, reason: "STATIC" });
    publisher.commit(booleanFlag("a", 2, "off"));
    transport.thaw();
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await isOn()).toMatchObject({ value: false });
    expect(events).toEqual([
      "PROVIDER_READY",
      "PROVIDER_STALE: nothing is heard from the server",
      "PROVIDER_READY",
      "changed a of production at 2",
    ]);
  });

  it("stays ready through errors that are being mended", async () => {
    await set();
    transport.cut();
    transport.refusal = unknownToken;
    await clock.advance(10_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(events).toEqual(["PROVIDER_READY"]);
  });

  it("is stale, not in error, when the server refuses for long, and says why", async () => {
    await set();
    transport.cut();
    transport.refusal = unknownToken;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(events.at(-1)).toMatch(/^PROVIDER_STALE: .* refused to be watched: the token is unknown$/);
    expect(await isOn()).toMatchObject({ value: true });
  });

  it("is stale for what the server does, not for a cache that cannot be written", async () => {
    const cache: MirrorCache = {
      load: async () => undefined,
      save: async () => Promise.reject(new Error("the disk is full")),
    };
    await set({ cache });
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(5_000);
    transport.freeze();
    await clock.advance(46_000);
    expect(events.at(-1)).toBe("PROVIDER_STALE: nothing is heard from the server");
  });

  it("stays ready where an update cannot be right, and gets it in the end", async () => {
    await set();
    transport.tamper = (message) => (message.commit ? undefined : message);
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(2_000);
    transport.tamper = (message) => message;
    await clock.advance(20_000);
    expect(await isOn()).toMatchObject({ value: false });
    expect(events.filter((event) => !event.startsWith("changed"))).toEqual(["PROVIDER_READY"]);
  });
});

describe("a provider whose server is away at the start", () => {
  it("is in error, answers defaults, and is ready by itself when the server comes", async () => {
    transport.refusal = away;
    const failed = set();
    await clock.advance(10_000);
    expect(await failed).toMatchObject({ code: "PROVIDER_NOT_READY", message: expect.stringContaining("within 10 s") });
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(await isOn()).toMatchObject({ value: false, reason: "ERROR", errorCode: "PROVIDER_NOT_READY" });
    expect(transport.isClosed).toBe(false);
    await clock.advance(120_000);
    transport.refusal = undefined;
    await clock.advance(40_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await isOn()).toMatchObject({ value: true });
    expect(events).toEqual([expect.stringMatching(/^PROVIDER_ERROR: no flags from/), "PROVIDER_READY"]);
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(1_000);
    expect(events.at(-1)).toBe("changed a of production at 2");
  });

  it("is fatal once a server comes that refuses, and in error again when that goes", async () => {
    transport.refusal = away;
    void set();
    await clock.advance(20_000);
    transport.refusal = unknownToken;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.FATAL);
    transport.refusal = away;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(events).toEqual([
      expect.stringMatching(/^PROVIDER_ERROR: no flags from/),
      expect.stringMatching(/^PROVIDER_ERROR: .*the token is unknown/),
      expect.stringMatching(/^PROVIDER_ERROR: .*ECONNREFUSED/),
    ]);
  });

  it("begins with what was kept, is ready at once and stale right after, until the server comes", async () => {
    transport.refusal = away;
    const ready = set({ bootstrap });
    await clock.advance(1);
    expect(await ready).toBeUndefined();
    await settle();
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await isOn()).toMatchObject({ value: false, variant: "off" });
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(await isOn()).toMatchObject({ value: true, variant: "on" });
    expect(events).toEqual([
      "PROVIDER_READY",
      expect.stringMatching(/^PROVIDER_STALE/),
      "PROVIDER_READY",
      "changed a of production at 1",
    ]);
  });
});

describe("a provider whose cache comes back before the server", () => {
  it("is stale with what was kept", async () => {
    let loads = 0;
    const kept = await keptSnapshot();
    const cache: MirrorCache = {
      load: async () => {
        if (loads++ === 0) throw new Error("the cache is away too");
        return kept;
      },
      save: async () => {},
    };
    transport.refusal = away;
    const failed = set({ cache });
    await clock.advance(10_000);
    expect(await failed).toMatchObject({ code: "PROVIDER_NOT_READY" });
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await isOn()).toMatchObject({ value: true, variant: "on" });
    expect(events).toEqual([
      expect.stringMatching(/^PROVIDER_ERROR: no flags from/),
      "PROVIDER_STALE: nothing is heard from the server",
    ]);
  });

  /** What a mirror of the same server keeps. */
  async function keptSnapshot(): Promise<Uint8Array> {
    let kept: Uint8Array = new Uint8Array();
    const cache: MirrorCache = {
      load: async () => undefined,
      save: async (bytes) => {
        kept = bytes;
      },
    };
    const mirror = await openMirror({ transport: new HubTransport(transport.hub), clock, cache });
    await mirror.close();
    return kept;
  }
});

describe("a provider that the server refuses", () => {
  beforeEach(() => {
    transport.refusal = unknownToken;
  });

  it("is fatal at once, and ready by itself once it is permitted", async () => {
    const failed = set();
    await settle();
    expect(await failed).toMatchObject({ code: "PROVIDER_FATAL", message: expect.stringContaining("token") });
    expect(client.providerStatus).toBe(ProviderStatus.FATAL);
    expect(await isOn()).toMatchObject({ value: false, errorCode: "PROVIDER_FATAL" });
    await clock.advance(60_000);
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await isOn()).toMatchObject({ value: true });
    expect(events).toEqual([expect.stringMatching(/^PROVIDER_ERROR: .*the token is unknown/), "PROVIDER_READY"]);
  });

  it("is never fatal again once it was permitted", async () => {
    void set();
    await settle();
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    transport.cut();
    transport.refusal = unknownToken;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await isOn()).toMatchObject({ value: true });
  });

  it("is fatal with something kept too, so that a deployment fails; stale when the refusal ends", async () => {
    const failed = set({ bootstrap });
    await settle();
    expect(await failed).toMatchObject({ code: "PROVIDER_FATAL" });
    await clock.advance(1_000);
    expect(client.providerStatus).toBe(ProviderStatus.FATAL);
    transport.refusal = away;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await isOn()).toMatchObject({ value: false, variant: "off" });
  });
});

describe("a provider whose options cannot be right", () => {
  it.each([null, "127.0.0.1:8013"])("is not made of what are no options: %j", (options) => {
    expect(() => new FlagwireProvider(options as unknown as object)).toThrow(/takes options, such as/);
  });

  it.each([{ staleAfterMs: 0 }, { privateAttributes: 1 as unknown as [] }])("is fatal: %j", async (options) => {
    expect(await set(options)).toMatchObject({ code: "PROVIDER_FATAL", cause: expect.any(TypeError) });
    await clock.advance(60_000);
    expect(transport.requests).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("closing", () => {
  it("closes the mirror, whose answers stay", async () => {
    await set();
    await OpenFeature.close();
    expect(transport).toMatchObject({ isClosed: true, openStreams: 0 });
    expect(clock.pendingTimers).toBe(0);
    expect(await isOn()).toMatchObject({ value: true });
  });

  it("gives up what is being opened", async () => {
    transport.freeze();
    const failed = set();
    await clock.advance(1_000);
    await OpenFeature.close();
    expect(await failed).toMatchObject({ code: "PROVIDER_NOT_READY" });
    expect(transport).toMatchObject({ isClosed: true, openStreams: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it("gives up what goes on trying", async () => {
    transport.refusal = away;
    const failed = set();
    await clock.advance(10_000);
    await failed;
    await OpenFeature.close();
    expect(transport.isClosed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("reports before what was asked, also through a transport that was given", async () => {
    const counting = new CountingTransport(transport.hub);
    const provider = new FlagwireProvider({ transport: counting, clock });
    await OpenFeature.setProviderAndWait(provider);
    await isOn();
    await client.getStringValue("a", "of another type");
    await OpenFeature.close();
    expect(counting.told).toEqual(["a on 1 @ 1"]);
    expect(counting).toMatchObject({ isClosedAtLastReport: false, isClosed: true });
  });

  it("lets what is opened anew wait until everything is written", async () => {
    const calls: string[] = [];
    let written = (): void => {};
    const cache: MirrorCache = {
      load: async () => {
        calls.push("load");
        return undefined;
      },
      save: () => {
        calls.push("save");
        return new Promise((resolve) => (written = resolve));
      },
    };
    const provider = new FlagwireProvider({ transport, clock, cache });
    await provider.initialize();
    const closed = provider.onClose();
    const opened = provider.initialize();
    await settle();
    expect(calls).toEqual(["load", "save"]);
    written();
    await Promise.all([closed, opened]);
    expect(calls).toEqual(["load", "save", "load", "save"]);
    written();
    await provider.onClose();
  });

  it("tells nothing any more", async () => {
    await set();
    const { length } = events;
    await OpenFeature.close();
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(120_000);
    expect(events).toHaveLength(length);
  });
});

describe("a provider of two domains", () => {
  it("takes the place of another without a moment of defaults, once it is ready in a domain of its own", async () => {
    await set();
    const next = new FlagwireProvider({ transport: new HubTransport(transport.hub), clock });
    await OpenFeature.setProviderAndWait("next", next);
    const before = isOn();
    OpenFeature.setProvider(next);
    expect(await Promise.all([before, isOn()])).toMatchObject([{ value: true }, { value: true }]);
    await settle();
    expect(transport.isClosed).toBe(true);
  });

  it("has its state in both, and closes when the last of them has another", async () => {
    const provider = new FlagwireProvider({ transport, clock, random: () => 0.5 });
    await OpenFeature.setProviderAndWait("one", provider);
    await OpenFeature.setProviderAndWait("two", provider);
    const [one, two] = [OpenFeature.getClient("one"), OpenFeature.getClient("two")];
    transport.freeze();
    await clock.advance(46_000);
    expect([one.providerStatus, two.providerStatus]).toEqual([ProviderStatus.STALE, ProviderStatus.STALE]);
    OpenFeature.setProvider("one", new InMemoryProvider());
    await settle();
    expect(transport.isClosed).toBe(false);
    expect(await two.getBooleanValue("a", false)).toBe(true);
    OpenFeature.setProvider("two", new InMemoryProvider());
    await settle();
    expect(transport.isClosed).toBe(true);
  });
});

describe("a provider of many domains", () => {
  it("tells each of them a change once, without a warning of Node's", async () => {
    const warn = vi.spyOn(process, "emitWarning");
    const provider = new FlagwireProvider({ transport, clock, random: () => 0.5 });
    const told: string[] = [];
    for (let domain = 0; domain < 30; domain++) {
      await OpenFeature.setProviderAndWait(`domain-${domain}`, provider);
      OpenFeature.getClient(`domain-${domain}`).addHandler(ProviderEvents.ConfigurationChanged, (details) => {
        told.push(String(details?.domain));
      });
    }
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(1_000);
    expect(told.sort()).toEqual(Array.from({ length: 30 }, (_, domain) => `domain-${domain}`).sort());
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

describe("a provider on a mirror of somebody else", () => {
  const open = (options: MirrorOptions = {}) => openMirror({ transport, clock, random: () => 0.5, ...options });

  it("does not close it, and listens to it no more", async () => {
    await using mirror = await open();
    const provider = new FlagwireProvider(mirror);
    await OpenFeature.setProviderAndWait(provider);
    await OpenFeature.clearProviders();
    expect(mirror.status).toBe("ready");
    const { length } = events;
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(1_000);
    expect(mirror.revision).toBe(2);
    expect(events).toHaveLength(length);
    await OpenFeature.setProviderAndWait(provider);
    publisher.commit(booleanFlag("a", 3));
    await clock.advance(1_000);
    expect(events.at(-1)).toBe("changed a of production at 3");
  });

  it("does not listen to it where it is closed while it opens", async () => {
    await using mirror = await open();
    const provider = new FlagwireProvider(mirror);
    const told: unknown[] = [];
    provider.events.addHandler(ProviderEvents.ConfigurationChanged, (details) => told.push(details));
    void provider.initialize();
    await provider.onClose();
    publisher.commit(booleanFlag("a", 2, "off"));
    await clock.advance(1_000);
    expect(mirror.revision).toBe(2);
    expect(told).toEqual([]);
  });

  it("waits for its first flags, where it was opened without waiting", async () => {
    transport.freeze();
    await using mirror = await open({ waitForReady: false });
    const ready = OpenFeature.setProviderAndWait(new FlagwireProvider(mirror));
    await clock.advance(1_000);
    expect(client.providerStatus).toBe(ProviderStatus.NOT_READY);
    transport.thaw();
    await clock.advance(1_000);
    await ready;
    expect(client.providerStatus).toBe(ProviderStatus.READY);
  });

  it("waits no longer where it is closed meanwhile", async () => {
    transport.freeze();
    await using mirror = await open({ waitForReady: false });
    const provider = new FlagwireProvider(mirror);
    const failed = expect(provider.initialize()).rejects.toMatchObject({ code: "PROVIDER_NOT_READY" });
    await settle();
    await provider.onClose();
    await failed;
    expect(mirror.status).toBe("connecting");
  });

  it("is in error after ten seconds without flags, and ready when they come", async () => {
    transport.refusal = away;
    await using mirror = await open({ waitForReady: false });
    const ready = OpenFeature.setProviderAndWait(new FlagwireProvider(mirror));
    const failed = expect(ready).rejects.toMatchObject({ code: "PROVIDER_NOT_READY" });
    await clock.advance(10_000);
    await failed;
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
  });

  it("is fatal at once where the server refuses", async () => {
    transport.refusal = unknownToken;
    await using mirror = await open({ waitForReady: false });
    const ready = OpenFeature.setProviderAndWait(new FlagwireProvider(mirror));
    const failed = expect(ready).rejects.toMatchObject({ code: "PROVIDER_FATAL" });
    await clock.advance(1_000);
    await failed;
  });

  it("is stale where the mirror is", async () => {
    transport.refusal = away;
    const opening = open({ bootstrap });
    await clock.advance(1);
    await using mirror = await opening;
    await OpenFeature.setProviderAndWait(new FlagwireProvider(mirror));
    await settle();
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
  });

  it("is fatal where the mirror is closed", async () => {
    const mirror = await open();
    await mirror.close();
    const ready = OpenFeature.setProviderAndWait(new FlagwireProvider(mirror));
    await expect(ready).rejects.toMatchObject({ code: "PROVIDER_FATAL", message: "the mirror is closed" });
  });
});
