import { FlagdWebProvider } from "@openfeature/flagd-web-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, type Provider, ProviderStatus } from "@openfeature/web-sdk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { booleanFlag, serve } from "../server/admin-support.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type BadServer, openBadServer } from "./bad-servers.js";

// What the providers of others for pages make of a bad server is not ours to decide, but ours to tell; see docs/resilience.md. Both
// run in Node too.

const client = OpenFeature.getClient();

let isOver = false;
/** Of flagd's provider. */
let tries = 0;
afterEach(async () => {
  isOver = true;
  await OpenFeature.clearProviders();
});

function ofrep(address: string): Provider {
  // Without storage, of which Node has none, and without a stream, which is for browsers.
  const options = { baseUrl: `http://${address}`, timeoutMs: 300, pollInterval: 20, cacheMode: "disabled" } as const;
  return new OFREPWebProvider(options) as Provider;
}

function flagd(address: string): Provider {
  const [host = "", port] = address.split(":");
  isOver = false;
  tries = 0;
  // It goes on trying after it was closed, and leaves unhandled what fails then.
  const interceptors = [
    (next: (call: never) => unknown) => (call: never) => {
      tries++;
      return isOver ? new Promise(() => {}) : next(call);
    },
  ];
  const options = { host, port: Number(port), tls: false, interceptors };
  return new FlagdWebProvider(options as unknown as ConstructorParameters<typeof FlagdWebProvider>[0]) as Provider;
}

const set = (provider: Provider) =>
  OpenFeature.setProviderAndWait(provider).then(
    () => undefined,
    (error: unknown) => error,
  );

function expectDefaults(errorCode: string): void {
  for (const value of [true, false]) {
    expect(client.getBooleanDetails("a", value)).toMatchObject({ value, reason: "ERROR", errorCode });
  }
}

describe("OFREP's provider for pages", () => {
  it.each<[BadServer, ProviderStatus, string]>([
    ["nobody", ProviderStatus.ERROR, "FLAG_NOT_FOUND"],
    ["silence", ProviderStatus.ERROR, "FLAG_NOT_FOUND"],
    ["noise", ProviderStatus.ERROR, "FLAG_NOT_FOUND"],
    ["an old server", ProviderStatus.ERROR, "FLAG_NOT_FOUND"],
    ["a limit", ProviderStatus.ERROR, "FLAG_NOT_FOUND"],
    ["a refusal", ProviderStatus.FATAL, "PROVIDER_FATAL"],
  ])("that finds %s is in %s, and answers defaults with %s", async (kind, status, errorCode) => {
    await using bad = await openBadServer(kind);
    expect(await set(ofrep(bad.address))).toBeInstanceOf(Error);
    expect(client.providerStatus).toBe(status);
    expectDefaults(errorCode);
  });
});

describe("OFREP's provider for pages that polls", () => {
  async function serveA(server: TestServer, variant: string): Promise<void> {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve(variant) } });
  }

  it("answers with its last values while the server is away, and follows it when it is back", async () => {
    let server = await openTestServer();
    const listen = server.server.address;
    await serveA(server, "on");
    await set(ofrep(server.address));
    await server[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(client.providerStatus).toBe(ProviderStatus.STALE));
    expect(client.getBooleanDetails("a", false)).toMatchObject({ value: true, reason: "STATIC" });
    server = await openTestServer({ listen });
    await serveA(server, "off");
    await vi.waitFor(() => expect(client.getBooleanValue("a", true)).toBe(false));
    // It tells nobody that it is well again.
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    await server[Symbol.asyncDispose]();
  });
});

describe("flagd's provider for pages", () => {
  it.each(["nobody", "silence", "noise", "an old server", "a limit", "a refusal"] as const)(
    "that finds %s is never ready, and answers defaults, while it goes on trying",
    async (kind) => {
      await using bad = await openBadServer(kind);
      let isSettled = false;
      void set(flagd(bad.address)).then(() => {
        isSettled = true;
      });
      await vi.waitFor(() => expect(tries).toBeGreaterThan(1));
      expect([isSettled, client.providerStatus]).toEqual([false, ProviderStatus.NOT_READY]);
      expectDefaults("PROVIDER_NOT_READY");
    },
  );
});
