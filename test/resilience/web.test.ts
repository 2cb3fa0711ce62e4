import { OpenFeature, ProviderStatus } from "@openfeature/web-sdk";
import { afterEach, expect, it } from "vitest";
import { FlagwireWebProvider } from "../../src/openfeature-web/index.js";
import { badServers, openBadServer } from "./bad-servers.js";

const client = OpenFeature.getClient();

afterEach(() => OpenFeature.clearProviders());

it.each([...badServers, "a refusal"] as const)(
  "a web provider that finds %s is in error, and answers defaults, be they closed or open",
  async (kind) => {
    await using bad = await openBadServer(kind);
    const provider = new FlagwireWebProvider({
      address: bad.address,
      storage: false,
      timeouts: { initTimeoutMs: 300 },
    });
    await expect(OpenFeature.setProviderAndWait(provider)).rejects.toMatchObject({ code: "PROVIDER_NOT_READY" });
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    for (const value of [true, false]) {
      const details = client.getBooleanDetails("a", value);
      expect(details).toMatchObject({ value, reason: "ERROR", errorCode: "PROVIDER_NOT_READY" });
    }
  },
);
