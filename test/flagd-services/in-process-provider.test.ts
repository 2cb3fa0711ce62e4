import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlagdProvider } from "@openfeature/flagd-provider";
import { type Client, type EvaluationContext, OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseFlagFile } from "../../src/cli/files/read-flag-file.js";
import { flagTypeName, fromValue } from "../../src/engine/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { createFlags, enabled, flagOf } from "./evaluation-support.js";

// flagd's own provider for Node, as its users have it, takes the flags from this server and evaluates by itself.

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  await createFlags(server);
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => OpenFeature.clearProviders());

type FlagdProviderOptions = NonNullable<ConstructorParameters<typeof FlagdProvider>[0]>;
let clients = 0;

async function connect(options: Partial<FlagdProviderOptions> = {}, to = server): Promise<Client> {
  const [host = "", port] = to.address.split(":");
  const domain = `flagd-in-process-${++clients}`;
  const quick = { deadlineMs: 5_000, retryBackoffMaxMs: 50 };
  const provider = new FlagdProvider({ host, port: Number(port), resolverType: "in-process", ...quick, ...options });
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
    expect(await client.getBooleanDetails("split", false, { targetingKey: "u" })).toMatchObject({ value: true });
  });

  test("answers the off variant of a flag that is off, killed, or short of a prerequisite", async () => {
    const client = await connect();
    for (const key of ["off", "killed"]) {
      expect(await client.getBooleanDetails(key, true)).toMatchObject({ value: false, variant: "off" });
    }
    expect(await client.getStringDetails("needs", "")).toMatchObject({ value: "B", variant: "b" });
  });

  test.each([
    ["off-bare", "DISABLED"],
    ["killed-bare", "DISABLED"],
    ["without-default", "DEFAULT"],
    ["needs-bare", "DEFAULT"],
    ["split", "DEFAULT"],
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
    // Left out of what is synced, and named in the log.
    ["broken", "FLAG_NOT_FOUND"],
  ])("of %s gives the caller's default with the error %s", async (key, errorCode) => {
    const client = await connect();
    expect(await client.getBooleanDetails(key, true)).toMatchObject({ value: true, reason: "ERROR", errorCode });
  });

  test("is of the environment that the selector names", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "bool", ...enabled("off") } });
    for (const selector of ["flagSetId=staging", "staging"]) {
      expect(await (await connect({ selector })).getBooleanValue("bool", true)).toBe(false);
    }
    expect(await (await connect()).getBooleanValue("bool", false)).toBe(true);
  });
});

test("a change comes as an event with its keys, after which the new answer is given", async () => {
  const { admin } = server;
  const client = await connect();
  const changes: string[][] = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, (event) => void changes.push(event?.flagsChanged ?? []));
  await admin.createFlag({ flag: flagOf("followed", { a: "A", b: "B" }), targeting: enabled("a") });
  await expect.poll(() => changes).toEqual([["followed"]]);
  expect(await client.getStringValue("followed", "")).toBe("A");
  await admin.updateTargeting({ targeting: { flagKey: "followed", ...enabled("b") } });
  await expect.poll(() => changes).toEqual([["followed"], ["followed"]]);
  expect(await client.getStringValue("followed", "")).toBe("B");
  await admin.deleteFlag({ key: "followed" });
  await expect.poll(() => changes).toHaveLength(3);
  expect((await client.getStringDetails("followed", "")).errorCode).toBe("FLAG_NOT_FOUND");
});

test("a server that dies makes the provider stale, then an error; once it is back it is ready, and nothing is lost", async () => {
  const path = await mkdtemp(join(tmpdir(), "flagwire-test-"));
  const first = await openTestServer({ path });
  const [host = "", port] = first.address.split(":");
  await first.admin.createFlag({ flag: flagOf("text", { a: "A", b: "B" }), targeting: enabled("a") });
  const client = await connect({ retryGracePeriod: 0.3 }, first);
  const events: string[] = [];
  for (const event of [ProviderEvents.Stale, ProviderEvents.Ready, ProviderEvents.Error]) {
    client.addHandler(event, () => void events.push(event));
  }
  const { Ready, Stale, Error: Failed } = ProviderEvents;
  await expect.poll(() => events).toEqual([Ready]);
  await first.stop();
  await expect.poll(() => events, { timeout: 10_000 }).toEqual([Ready, Stale, Failed]);
  expect(await client.getStringValue("text", "")).toBe("A");
  const second = await openTestServer({ path, listen: { host, port: Number(port) } });
  await second.admin.updateTargeting({ targeting: { flagKey: "text", ...enabled("b") } });
  await expect.poll(() => events, { timeout: 10_000 }).toEqual([Ready, Stale, Failed, Ready]);
  await expect.poll(() => client.getStringValue("text", "")).toBe("B");
  await OpenFeature.clearProviders();
  await second.stop();
  await rm(path, { recursive: true, force: true });
});

describe("the sample flags", () => {
  const contexts: EvaluationContext[] = [
    ...Array.from({ length: 30 }, (_, index) => ({ targetingKey: `user-${index}`, plan: "free" })),
    { targetingKey: "u", email: "Ann@EXAMPLE.com", plan: "pro", app: { version: "2.0.9" } },
    { targetingKey: "u2", email: "ann@example.com.test", plan: "enterprise", app: { version: "2.1.0" } },
    { targetingKey: "u3", email: "@Example.Com", app: { version: "nonsense" } },
    { email: "ann@example.com" },
    {},
  ];

  test("answer in process as they do by Evaluate", async () => {
    await using samples = await openTestServer();
    const text = await readFile(new URL("../../examples/flags.yaml", import.meta.url), "utf8");
    const { file } = parseFlagFile(text, "flags.yaml", "production");
    await samples.admin.import(
      (async function* () {
        yield { file };
      })(),
    );
    const client = await connect({}, samples);
    let compared = 0;
    for (const { key, type } of file.flags) {
      for (const context of contexts) {
        const { targetingKey = "", ...attributes } = context as Record<string, never>;
        const answer = await samples.evaluation.evaluate({ flagKey: key, context: { targetingKey, attributes } });
        const expected = answer.value === undefined ? undefined : fromValue(answer.value);
        const found = await findValue(client, key, flagTypeName(type)?.toLowerCase() ?? "", context);
        expect({ key, context, value: found }).toEqual({ key, context, value: expected });
        compared++;
      }
    }
    expect(compared).toBe(file.flags.length * contexts.length);
  });
});

/** Undefined: the caller's own default. */
async function findValue(client: Client, key: string, type: string, context: EvaluationContext): Promise<unknown> {
  const { value, variant, errorCode } = await detailsOf(client, key, type, context);
  expect(errorCode).toBeUndefined();
  return variant === undefined ? undefined : value;
}

function detailsOf(client: Client, key: string, type: string, context: EvaluationContext) {
  switch (type) {
    case "boolean":
      return client.getBooleanDetails(key, false, context);
    case "string":
      return client.getStringDetails(key, "", context);
    case "number":
      return client.getNumberDetails(key, 0, context);
    default:
      return client.getObjectDetails(key, {}, context);
  }
}
