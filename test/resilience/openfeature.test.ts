import { type Client, OpenFeature, ProviderStatus } from "@openfeature/server-sdk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FlagwireProvider, type FollowedMirrorOptions } from "../../src/openfeature/index.js";
import { badServers, openBadServer } from "./bad-servers.js";
import { bootstrap } from "./kept-flags.js";

const quick: FollowedMirrorOptions = {
  connectTimeoutMs: 300,
  fallbackAfterMs: 300,
  backoff: { minMs: 10, maxMs: 20 },
};
const client: Client = OpenFeature.getClient();

afterEach(() => OpenFeature.clearProviders());

describe.each(badServers)("a provider that finds %s", (kind) => {
  it("is in error, and answers defaults, be they closed or open", async () => {
    await using bad = await openBadServer(kind);
    const ready = OpenFeature.setProviderAndWait(new FlagwireProvider({ ...quick, address: bad.address }));
    await expect(ready).rejects.toMatchObject({ code: "PROVIDER_NOT_READY" });
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    for (const value of [true, false]) {
      const details = await client.getBooleanDetails("a", value);
      expect(details).toMatchObject({ value, reason: "ERROR", errorCode: "PROVIDER_NOT_READY" });
    }
  });

  it("is stale, and answers with what was kept", async () => {
    await using bad = await openBadServer(kind);
    await OpenFeature.setProviderAndWait(new FlagwireProvider({ ...quick, address: bad.address, bootstrap }));
    await vi.waitFor(() => expect(client.providerStatus).toBe(ProviderStatus.STALE), 10_000);
    expect(await client.getBooleanValue("a", false)).toBe(true);
  });
});

it("a provider that finds a refusal is fatal at once", async () => {
  await using bad = await openBadServer("a refusal");
  const ready = OpenFeature.setProviderAndWait(new FlagwireProvider({ address: bad.address, token: "wrong" }));
  await expect(ready).rejects.toMatchObject({ code: "PROVIDER_FATAL" });
  for (const value of [true, false]) {
    expect(await client.getBooleanDetails("a", value)).toMatchObject({ value, errorCode: "PROVIDER_FATAL" });
  }
});
