import { type Client, OpenFeature, ProviderEvents, type ProviderStatus } from "@openfeature/server-sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FlagwireProvider } from "../../src/openfeature/index.js";
import { createTestFlags, forEachVariant, type TestFlags, variants } from "../../src/testing/index.js";

const flags: TestFlags = createTestFlags({
  "new-checkout": true,
  "button-color": variants({ red: "#d73027", blue: "#4575b4" }),
});
const client: Client = OpenFeature.getClient("testing-kit");

beforeEach(() => OpenFeature.setProviderAndWait("testing-kit", new FlagwireProvider(flags)));

afterEach(async () => {
  await OpenFeature.clearProviders();
  flags.reset();
});

function status(): ProviderStatus {
  return client.providerStatus;
}

describe("an OpenFeature client on flags in memory", () => {
  it("sees what is set and overridden", async () => {
    expect(await client.getBooleanValue("new-checkout", false)).toBe(true);
    flags.set("new-checkout", false);
    expect(await client.getBooleanDetails("new-checkout", true)).toMatchObject({ value: false, variant: "off" });
    using _ = flags.override("button-color", ({ plan }) => `#${plan}`);
    expect(await client.getStringValue("button-color", "", { plan: "pro" })).toBe("#pro");
  });

  it("is told which flags changed", async () => {
    const changed: unknown[] = [];
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) => changed.push(details?.flagsChanged));
    flags.set("new-checkout", false);
    await vi.waitFor(() => expect(changed).toEqual([["new-checkout"]]));
  });

  it("goes through an outage", async () => {
    flags.outage();
    await vi.waitFor(() => expect(status()).toBe("STALE"));
    expect(await client.getBooleanValue("new-checkout", false)).toBe(true);
    flags.recover();
    await vi.waitFor(() => expect(status()).toBe("READY"));
  });

  it("answers its default as long as nothing came", async () => {
    flags.outage({ cold: true });
    expect(await client.getBooleanDetails("new-checkout", false)).toMatchObject({
      value: false,
      errorCode: "PROVIDER_NOT_READY",
    });
  });

  it("is not ready before the end of a cold start", async () => {
    flags.outage({ cold: true });
    const ready = OpenFeature.setProviderAndWait("testing-kit", new FlagwireProvider(flags));
    expect(status()).toBe("NOT_READY");
    flags.recover();
    await ready;
    expect([status(), await client.getBooleanValue("new-checkout", false)]).toEqual(["READY", true]);
  });

  forEachVariant(it, flags, "button-color", "has every variant", async ({ variant, value }) => {
    expect(await client.getStringDetails("button-color", "")).toMatchObject({ variant, value });
  });
});
