import { FlagdWebProvider } from "@openfeature/flagd-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { createFlags, enabled, eventually, flagOf, ON_OFF } from "./evaluation-support.js";

type FlagdWebOptions = ConstructorParameters<typeof FlagdWebProvider>[0];

// flagd's own provider for browsers, which runs in Node as well, asks this server by Connect over HTTP/1.1.

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  await createFlags(server);
});
afterAll(() => server[Symbol.asyncDispose]());

let isClosed: { value: boolean };
afterEach(async () => {
  isClosed.value = true;
  await OpenFeature.clearProviders();
});

async function connect() {
  const [host = "", port] = server.address.split(":");
  const closed = { value: false };
  isClosed = closed;
  // It connects again after it was closed, and leaves unhandled what fails then.
  const interceptors = [
    (next: (call: never) => unknown) => (call: never) => {
      return closed.value ? new Promise(() => {}) : next(call);
    },
  ] as unknown as NonNullable<FlagdWebOptions["interceptors"]>;
  const provider = new FlagdWebProvider({ host, port: Number(port), tls: false, interceptors });
  await OpenFeature.setProviderAndWait(provider);
  return OpenFeature.getClient();
}

test("every type is answered with its variant and reason", async () => {
  await OpenFeature.setContext({});
  const client = await connect();
  expect(client.getBooleanDetails("bool", false)).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
  expect(client.getStringDetails("text", "")).toMatchObject({ value: "A", variant: "a", reason: "STATIC" });
  expect(client.getNumberDetails("fraction", 0)).toMatchObject({ value: 3.14, variant: "high" });
  expect(client.getNumberDetails("whole", 0)).toMatchObject({ value: 42 });
  expect(client.getObjectDetails("object", {})).toMatchObject({ value: { list: [1, { deep: null }], name: "x" } });
  expect(client.getBooleanDetails("off", true)).toMatchObject({ value: false, variant: "off", reason: "DISABLED" });
});

test.each(["missing", "off-bare", "killed-bare", "without-default", "needs-bare", "broken", "split", "text"])(
  "the caller's default is given for %s",
  async (key) => {
    await OpenFeature.setContext({});
    const client = await connect();
    for (const value of [true, false]) expect(client.getBooleanValue(key, value)).toBe(value);
  },
);

test("the answers are those of the context", async () => {
  await OpenFeature.setContext({ targetingKey: "u", plan: "gold" });
  const client = await connect();
  expect(client.getStringDetails("targeted", "")).toMatchObject({ value: "B", reason: "TARGETING_MATCH" });
  expect(client.getBooleanDetails("split", false)).toMatchObject({ value: true, reason: "SPLIT" });
  await OpenFeature.setContext({ targetingKey: "u" });
  expect(client.getStringDetails("targeted", "")).toMatchObject({ value: "A", reason: "DEFAULT" });
});

test("a change is seen when it is told", async () => {
  await server.admin.createFlag({ flag: flagOf("fresh", ON_OFF), targeting: enabled("off") });
  const client = await connect();
  const told: boolean[] = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, () => void told.push(client.getBooleanValue("fresh", false)));
  expect(client.getBooleanValue("fresh", true)).toBe(false);
  await server.admin.updateTargeting({ targeting: { flagKey: "fresh", ...enabled("on") } });
  await eventually(() => told).toContain(true);
});
