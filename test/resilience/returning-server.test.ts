import { FlagdProvider } from "@openfeature/flagd-provider";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature, type Provider, ProviderStatus } from "@openfeature/server-sdk";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { FlagwireProvider } from "../../src/openfeature/index.js";
import { booleanFlag, serve } from "../server/admin-support.js";
import { openTestServer, type TestServer } from "../support/server.js";

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer();
  for (const key of ["a", "gone"]) await createFlag(server, key, "on");
  const { host, port } = server.server.address;
  const flagd = { host, port, deadlineMs: 10_000, retryBackoffMs: 10, retryBackoffMaxMs: 20 };
  const providers: Record<string, Provider> = {
    flagwire: new FlagwireProvider({
      address: server.address,
      staleAfterMs: 20_000,
      backoff: { minMs: 10, maxMs: 20 },
    }),
    "flagd by RPC": new FlagdProvider({ ...flagd, cache: "lru" }),
    "flagd in process": new FlagdProvider({ ...flagd, resolverType: "in-process" }),
    OFREP: new OFREPProvider({ baseUrl: `http://${server.address}` }),
  };
  for (const [name, provider] of Object.entries(providers)) await OpenFeature.setProviderAndWait(name, provider);
});

afterAll(async () => {
  await OpenFeature.clearProviders();
  await server[Symbol.asyncDispose]();
});

async function createFlag({ admin }: TestServer, key: string, variant: string): Promise<void> {
  await admin.createFlag({ flag: booleanFlag(key), targeting: { enabled: true, default: serve(variant) } });
}

const clients = ["flagwire", "flagd by RPC", "flagd in process", "OFREP"].map((name) => OpenFeature.getClient(name));
const details = (value: boolean) => Promise.all(clients.map((client) => client.getBooleanDetails("a", value)));

it("while a server is away, who holds rules answers by them, and who asks answers defaults", async () => {
  const allOn = clients.map(() => ({ value: true }));
  await vi.waitFor(async () => expect(await details(false)).toMatchObject(allOn), 10_000);
  await server.stop();
  await vi.waitFor(() => expect(clients[1]?.providerStatus).not.toBe(ProviderStatus.READY), 10_000);
  for (const value of [false, true]) {
    expect(await details(value)).toMatchObject([
      { value: true, reason: "STATIC" },
      { value, errorCode: "FLAG_NOT_FOUND" },
      { value: true, reason: "STATIC" },
      { value, errorCode: "GENERAL" },
    ]);
  }
});

it("a server that returns with other data is believed by everybody, at lower revisions too", async () => {
  const listen = server.server.address;
  await server[Symbol.asyncDispose]();
  server = await openTestServer({ listen });
  await createFlag(server, "a", "off");
  const ready = () => clients.map(({ providerStatus }) => providerStatus);
  await vi.waitFor(async () => {
    expect(ready()).toEqual(clients.map(() => ProviderStatus.READY));
    expect(await details(true)).toMatchObject(clients.map(() => ({ value: false })));
    for (const client of clients) {
      expect(await client.getBooleanDetails("gone", true)).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" });
    }
  }, 15_000);
});
