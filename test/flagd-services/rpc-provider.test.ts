import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlagdProvider } from "@openfeature/flagd-provider";
import { type Client, OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openChaosProxy } from "../support/chaos-proxy.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { createFlags, enabled, eventually, flagOf, ON_OFF } from "./evaluation-support.js";

// flagd's own provider for Node, as its users have it, asks this server by gRPC.

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  await createFlags(server);
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => OpenFeature.clearProviders());

let clients = 0;

async function connect(
  options: ConstructorParameters<typeof FlagdProvider>[0] = {},
  to: { address: string } = server,
): Promise<Client> {
  const [host = "", port] = to.address.split(":");
  const domain = `flagd-${++clients}`;
  const quick = { deadlineMs: 5_000, retryBackoffMaxMs: 50 };
  const provider = new FlagdProvider({ host, port: Number(port), cache: "disabled", ...quick, ...options });
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

describe("an evaluation", () => {
  test("answers every type with its variant, reason and metadata", async () => {
    const client = await connect();
    expect(await client.getBooleanDetails("bool", false)).toMatchObject({
      value: true,
      variant: "on",
      reason: "STATIC",
      flagMetadata: { team: "web", level: 2 },
    });
    expect(await client.getStringDetails("text", "")).toMatchObject({ value: "A", variant: "a", reason: "STATIC" });
    expect(await client.getNumberDetails("fraction", 0)).toMatchObject({ value: 3.14, variant: "high" });
    expect(await client.getNumberDetails("huge", 0)).toMatchObject({ value: 2 ** 60 });
    const object = await client.getObjectDetails("object", {});
    expect(object).toMatchObject({ value: { list: [1, { deep: null }], name: "x" }, variant: "full" });
  });

  test("goes by the context", async () => {
    const client = await connect();
    const gold = await client.getStringDetails("targeted", "", { targetingKey: "u", plan: "gold" });
    expect(gold).toMatchObject({ value: "B", reason: "TARGETING_MATCH" });
    expect(await client.getStringDetails("targeted", "")).toMatchObject({ value: "A", reason: "DEFAULT" });
    const split = await client.getBooleanDetails("split", false, { targetingKey: "u" });
    expect(split).toMatchObject({ value: true, reason: "SPLIT" });
  });

  test.each([
    ["off", false, "DISABLED", "off"],
    ["killed", false, "KILLED", "off"],
  ])("of %s answers the off variant", async (key, value, reason, variant) => {
    const client = await connect();
    expect(await client.getBooleanDetails(key, true)).toMatchObject({ value, reason, variant });
  });

  test("answers the off variant where a prerequisite fails", async () => {
    const client = await connect();
    expect(await client.getStringDetails("needs", "")).toMatchObject({ value: "B", reason: "PREREQUISITE_FAILED" });
  });

  test.each([
    ["off-bare", "DISABLED"],
    ["killed-bare", "DISABLED"],
    ["without-default", "DEFAULT"],
    ["needs-bare", "DEFAULT"],
  ])("of %s, which has no value, gives the caller's default", async (key, reason) => {
    const client = await connect();
    for (const value of [true, false]) {
      const details = await client.getBooleanDetails(key, value);
      expect(details).toMatchObject({ value, reason });
      expect(details.errorCode).toBeUndefined();
    }
  });

  test.each([
    ["missing", "FLAG_NOT_FOUND"],
    ["text", "TYPE_MISMATCH"],
    ["broken", "PARSE_ERROR"],
    ["split", "GENERAL"],
  ])("of %s gives the caller's default with the error %s", async (key, errorCode) => {
    const client = await connect();
    const details = await client.getBooleanDetails(key, true);
    expect(details).toMatchObject({ value: true, reason: "ERROR", errorCode });
    expect(details.errorMessage).toContain(JSON.stringify(key));
  });

  test("asks the environment that the selector names", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "bool", ...enabled("off") } });
    for (const selector of ["flagSetId=staging", "staging"]) {
      expect(await (await connect({ selector })).getBooleanValue("bool", true)).toBe(false);
    }
    expect(await (await connect()).getBooleanValue("bool", false)).toBe(true);
    const nowhere = await (await connect({ selector: "flagSetId=nowhere" })).getBooleanDetails("bool", true);
    expect(nowhere).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" });
  });
});

describe("a provider that caches", () => {
  test("keeps static answers, and asks again for those that changed", async () => {
    const client = await connect({ cache: "lru" });
    const changes: string[][] = [];
    // Not what it is told when it connects: that other tests have just made flags.
    const ofKept = () => changes.flat().filter((key) => key.startsWith("kept"));
    client.addHandler(ProviderEvents.ConfigurationChanged, (event) => void changes.push(event?.flagsChanged ?? []));
    await server.admin.createFlag({ flag: flagOf("kept", { a: "A", b: "B" }), targeting: enabled("a") });
    await server.admin.createFlag({ flag: flagOf("kept-too", ON_OFF), targeting: enabled("on") });
    await eventually(ofKept).toEqual(["kept", "kept-too"]);
    const reasons = async () => [
      (await client.getStringDetails("kept", "")).reason,
      (await client.getBooleanDetails("kept-too", false)).reason,
    ];
    expect(await reasons()).toEqual(["STATIC", "STATIC"]);
    expect(await reasons()).toEqual(["CACHED", "CACHED"]);
    await server.admin.updateTargeting({ targeting: { flagKey: "kept", ...enabled("b") } });
    await eventually(ofKept).toEqual(["kept", "kept-too", "kept"]);
    expect(await client.getStringDetails("kept", "")).toMatchObject({ value: "B", reason: "STATIC" });
    expect((await client.getBooleanDetails("kept-too", false)).reason).toBe("CACHED");
    await server.admin.deleteFlag({ key: "kept" });
    await eventually(ofKept).toEqual(["kept", "kept-too", "kept", "kept"]);
    expect(await client.getStringDetails("kept", "mine")).toMatchObject({ value: "mine", errorCode: "FLAG_NOT_FOUND" });
  });

  test("keeps nothing that may differ between contexts or by another flag", async () => {
    const client = await connect({ cache: "lru" });
    const context = { targetingKey: "u" };
    for (const key of ["off", "killed", "split", "off-bare", "without-default"]) {
      const first = await client.getBooleanDetails(key, true, context);
      expect(await client.getBooleanDetails(key, true, context)).toEqual(first);
    }
    for (const key of ["targeted", "needs"]) {
      const first = await client.getStringDetails(key, "", context);
      expect(await client.getStringDetails(key, "", context)).toEqual(first);
    }
  });

  test("asks again for what changed in another environment, for it names none when it listens", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "qa" } });
    await admin.updateTargeting({ environment: "qa", targeting: { flagKey: "text", ...enabled("a") } });
    const client = await connect({ cache: "lru", selector: "flagSetId=qa" });
    expect((await client.getStringDetails("text", "")).reason).toBe("STATIC");
    expect((await client.getStringDetails("text", "")).reason).toBe("CACHED");
    await admin.updateTargeting({ environment: "qa", targeting: { flagKey: "text", ...enabled("b") } });
    await eventually(() => client.getStringValue("text", "")).toBe("B");
  });
});

/** What the provider tells of its connection, from when it is ready. */
async function stateEvents(client: Client): Promise<ProviderEvents[]> {
  const events: ProviderEvents[] = [];
  for (const event of [ProviderEvents.Stale, ProviderEvents.Ready, ProviderEvents.Error] as const) {
    client.addHandler(event, () => void events.push(event));
  }
  await eventually(() => events).toEqual([ProviderEvents.Ready]);
  return events;
}

const { Ready, Stale } = ProviderEvents;

test("a server that stops and comes back on its port makes the provider stale, then ready, with nothing kept", async () => {
  const path = await mkdtemp(join(tmpdir(), "flagwire-test-"));
  const first = await openTestServer({ path });
  const [host = "", port] = first.address.split(":");
  await first.admin.createFlag({ flag: flagOf("text", { a: "A", b: "B" }), targeting: enabled("a") });
  const client = await connect({ cache: "lru" }, first);
  const events = await stateEvents(client);
  expect(await client.getStringValue("text", "")).toBe("A");
  await first.stop();
  await eventually(() => events).toEqual([Ready, Stale]);
  const second = await openTestServer({ path, listen: { host, port: Number(port) } });
  await second.admin.updateTargeting({ targeting: { flagKey: "text", ...enabled("b") } });
  await eventually(() => events).toEqual([Ready, Stale, Ready]);
  expect(await client.getStringValue("text", "")).toBe("B");
  await OpenFeature.clearProviders();
  await second.stop();
  await rm(path, { recursive: true, force: true });
});

test("a connection that breaks makes it stale, then ready, and no change that it missed is lost", async () => {
  await server.admin.createFlag({ flag: flagOf("missed", { a: "A", b: "B" }), targeting: enabled("a") });
  await using proxy = await openChaosProxy(server.server.address.port);
  const client = await connect({ cache: "lru" }, proxy);
  const events = await stateEvents(client);
  expect(await client.getStringValue("missed", "")).toBe("A");
  proxy.switchTo({ kind: "refuse" });
  proxy.cut("reset");
  await eventually(() => events).toEqual([Ready, Stale]);
  await server.admin.updateTargeting({ targeting: { flagKey: "missed", ...enabled("b") } });
  proxy.switchTo({ kind: "pass" });
  await eventually(() => events).toEqual([Ready, Stale, Ready]);
  expect(await client.getStringValue("missed", "")).toBe("B");
  await OpenFeature.clearProviders();
});

test("a change between two of its streams is told when the next one opens: it goes on caching meanwhile", async () => {
  await server.admin.createFlag({ flag: flagOf("between", { a: "A", b: "B" }), targeting: enabled("a") });
  const client = await connect({ cache: "lru", streamDeadlineMs: 100, retryBackoffMaxMs: 400 });
  let isStale = false;
  const told: string[] = [];
  client.addHandler(Stale, () => {
    isStale = true;
  });
  client.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
    if (isStale) told.push(...(event?.flagsChanged ?? []));
  });
  await eventually(() => isStale).toBe(true);
  expect(await client.getStringValue("between", "")).toBe("A");
  await server.admin.updateTargeting({ targeting: { flagKey: "between", ...enabled("b") } });
  await eventually(() => told).toContain("between");
  expect(await client.getStringValue("between", "")).toBe("B");
});
