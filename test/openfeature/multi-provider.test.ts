import { InMemoryProvider, MultiProvider, OpenFeature, ProviderStatus } from "@openfeature/server-sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TransportError } from "../../src/client/index.js";
import { FlagwireProvider, type FollowedMirrorOptions } from "../../src/openfeature/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

const client = OpenFeature.getClient();
const other = { variants: { theirs: true }, defaultVariant: "theirs", disabled: false };

let clock: VirtualClock;
let transport: HubTransport;

beforeEach(() => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  new Publisher(hub, [booleanFlag("a", 1)]);
  transport = new HubTransport(hub);
});

afterEach(() => OpenFeature.clearProviders());

function set(options: FollowedMirrorOptions = {}): Promise<void> {
  const flagwire = new FlagwireProvider({ transport, clock, random: () => 0.5, ...options });
  const others = new InMemoryProvider({ a: other, b: other });
  return OpenFeature.setProviderAndWait(new MultiProvider([{ provider: flagwire }, { provider: others }]));
}

describe("a provider before another in the SDK's MultiProvider", () => {
  it("answers what it has, and leaves the rest to the other", async () => {
    await set();
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ variant: "on" });
    expect(await client.getBooleanDetails("b", false)).toMatchObject({ variant: "theirs" });
  });

  it("makes it stale and ready", async () => {
    await set();
    transport.freeze();
    await clock.advance(46_000);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    transport.thaw();
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
  });

  it("lets it start with what was kept, stale until the server comes", async () => {
    transport.refusal = new TransportError("UNAVAILABLE", "connect ECONNREFUSED");
    const ready = set({ bootstrap: { flags: [], targetings: [] } });
    await clock.advance(1);
    await ready;
    await settle();
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ variant: "theirs" });
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ variant: "on" });
  });

  it("answers once its server comes, although it could not be initialized", async () => {
    transport.refusal = new TransportError("UNAVAILABLE", "connect ECONNREFUSED");
    const failed = expect(set()).rejects.toThrow(/no flags from/);
    await clock.advance(10_000);
    await failed;
    transport.refusal = undefined;
    await clock.advance(60_000);
    expect(await client.getBooleanDetails("a", false)).toMatchObject({ variant: "on" });
  });
});
