import { FlagdProvider } from "@openfeature/flagd-provider";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { type Client, OpenFeature, type Provider, ProviderStatus } from "@openfeature/server-sdk";
import { afterEach, describe, expect, it } from "vitest";
import { openRemote } from "../../src/client/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type BadServer, badServers, type OpenBadServer, openBadServer } from "./bad-servers.js";

// What the providers of others make of a bad server is not ours to decide, but ours to tell; see docs/resilience.md.

const client: Client = OpenFeature.getClient();

afterEach(() => OpenFeature.clearProviders());

/** Sets a provider, and gives its error. */
const set = (provider: Provider) =>
  OpenFeature.setProviderAndWait(provider).then(
    () => undefined,
    (error: unknown) => error,
  );

async function expectDefaults(errorCode: string): Promise<void> {
  for (const value of [true, false]) {
    expect(await client.getBooleanDetails("a", value)).toMatchObject({ value, reason: "ERROR", errorCode });
  }
}

/** Another client's deadline of half a second has passed. */
async function whileAnotherGivesUp({ address }: OpenBadServer): Promise<void> {
  await using remote = await openRemote({ address });
  await remote.boolean("a", false);
}

function flagd({ host, port }: OpenBadServer, resolverType: "rpc" | "in-process"): FlagdProvider {
  return new FlagdProvider({ host, port, resolverType, deadlineMs: 300, cache: "disabled", retryBackoffMs: 10 });
}

describe("flagd's provider by RPC", () => {
  it.each<[BadServer, string]>([
    ["nobody", "FLAG_NOT_FOUND"],
    ["noise", "FLAG_NOT_FOUND"],
    ["an old server", "GENERAL"],
    ["a refusal", "GENERAL"],
    ["a limit", "GENERAL"],
  ])("that finds %s is in error, and answers defaults with %s", async (kind, errorCode) => {
    await using bad = await openBadServer(kind);
    expect(await set(flagd(bad, "rpc"))).toBeInstanceOf(Error);
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    await expectDefaults(errorCode);
  });

  it("that finds silence has no deadline for an evaluation", async () => {
    await using bad = await openBadServer("silence");
    expect(await set(flagd(bad, "rpc"))).toBeInstanceOf(Error);
    let isAnswered = false;
    client.getBooleanValue("a", true).then(() => {
      isAnswered = true;
    });
    await whileAnotherGivesUp(bad);
    expect(isAnswered).toBe(false);
  });
});

describe("flagd's provider in process", () => {
  it.each([...badServers, "a refusal"] as const)(
    "that finds %s is in error, and answers defaults at once",
    async (kind) => {
      await using bad = await openBadServer(kind);
      expect(await set(flagd(bad, "in-process"))).toBeInstanceOf(Error);
      expect(client.providerStatus).toBe(ProviderStatus.ERROR);
      await expectDefaults("FLAG_NOT_FOUND");
    },
  );
});

describe("the OFREP provider", () => {
  it.each(["nobody", "noise", "an old server", "a refusal", "a limit"] as const)(
    "that finds %s is ready, and answers defaults with GENERAL",
    async (kind) => {
      await using bad = await openBadServer(kind);
      expect(await set(new OFREPProvider({ baseUrl: `http://${bad.address}` }))).toBeUndefined();
      expect(client.providerStatus).toBe(ProviderStatus.READY);
      await expectDefaults("GENERAL");
    },
  );

  it("that finds silence has no deadline but the one that you give its fetch", async () => {
    await using bad = await openBadServer("silence");
    const baseUrl = `http://${bad.address}`;
    await set(new OFREPProvider({ baseUrl }));
    let isAnswered = false;
    client.getBooleanValue("a", true).then(() => {
      isAnswered = true;
    });
    await whileAnotherGivesUp(bad);
    expect(isAnswered).toBe(false);
    const fetchImplementation: typeof fetch = (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(300) });
    await set(new OFREPProvider({ baseUrl, fetchImplementation }));
    await expectDefaults("GENERAL");
  });
});

describe("an environment that does not exist", () => {
  const patient = { deadlineMs: 10_000 };

  it.each<[string, (server: TestServer, selector: string) => Provider, ProviderStatus, string]>([
    // It names none when it connects.
    [
      "flagd's by RPC",
      (to, selector) => new FlagdProvider({ ...to.server.address, ...patient, selector }),
      ProviderStatus.READY,
      "FLAG_NOT_FOUND",
    ],
    [
      "flagd's in process",
      (to, selector) => new FlagdProvider({ ...to.server.address, ...patient, selector, resolverType: "in-process" }),
      ProviderStatus.ERROR,
      "FLAG_NOT_FOUND",
    ],
    [
      "OFREP's",
      ({ address }, selector) =>
        new OFREPProvider({ baseUrl: `http://${address}`, headers: { "flagd-selector": selector } }),
      ProviderStatus.READY,
      "GENERAL",
    ],
  ])("makes the provider %s answer defaults", async (_name, create, status, errorCode) => {
    await using server = await openTestServer();
    await set(create(server, "flagSetId=nowhere"));
    expect(client.providerStatus).toBe(status);
    await expectDefaults(errorCode);
  });
});
