import {
  AsyncLocalStorageTransactionContextPropagator,
  type Client,
  type EvaluationContext,
  type JsonValue,
  OpenFeature,
} from "@openfeature/server-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type Mirror, openMirror } from "../../src/client/index.js";
import { FlagwireProvider } from "../../src/openfeature/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { booleanFlag, match, number, rule, serve, stringFlag, text } from "../server/admin-support.js";
import { HubTransport } from "../support/hub-transport.js";
import * as items from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";

let server: TestServer;
let mirror: Mirror;
let client: Client;
const tracked = vi.fn();

beforeAll(async () => {
  server = await openTestServer();
  await createFlags(server.admin);
  mirror = await openMirror({ address: server.address });
  await OpenFeature.setProviderAndWait(new FlagwireProvider(mirror, { onTrack: tracked }));
  client = OpenFeature.getClient();
});

afterAll(async () => {
  await OpenFeature.clearProviders();
  await mirror.close();
  await server[Symbol.asyncDispose]();
});

async function createFlags(admin: TestServer["admin"]): Promise<void> {
  const struct = { kind: { case: "structValue" as const, value: { fields: { max: number(20) } } } };
  const kind = FlagKind.OPERATIONAL;
  const on = (variant: string) => ({ enabled: true, default: serve(variant) });
  const isPro = match("plan", Operator.IN, text("pro"));
  await admin.createFlag({
    flag: booleanFlag("checkout", {
      metadata: { team: "payments", level: 2, isPublic: true },
    }),
    targeting: { enabled: true, rules: [rule(isPro, "on", "pro")], default: serve("off") },
  });
  await admin.createFlag({ flag: stringFlag("color", ["red", "blue"]), targeting: on("red") });
  await admin.createFlag({
    flag: { key: "limit", type: FlagType.NUMBER, kind, variants: { low: number(0), high: number(2.5) } },
    targeting: on("high"),
  });
  await admin.createFlag({
    flag: { key: "search", type: FlagType.OBJECT, kind, variants: { some: struct } },
    targeting: on("some"),
  });
  await admin.createFlag({ flag: booleanFlag("empty"), targeting: { enabled: false } });
  await admin.createFlag({ flag: booleanFlag("killed"), targeting: { ...on("on"), offVariant: "off" } });
  await admin.killFlags({ flagKeys: ["killed"], reason: "an incident" });
  await admin.createFlag({
    flag: booleanFlag("dependent"),
    targeting: { ...on("on"), offVariant: "off", prerequisites: [{ flagKey: "killed", variants: ["on"] }] },
  });
  const shares = [
    { variant: "on", weight: 50_000 },
    { variant: "off", weight: 50_000 },
  ];
  await admin.createFlag({
    flag: booleanFlag("split"),
    targeting: { enabled: true, default: { kind: { case: "rollout", value: { shares } } } },
  });
  await admin.createFlag({
    flag: booleanFlag("recent", { metadata: { flagSetId: "accounts", version: "v3" } }),
    targeting: {
      enabled: true,
      rules: [rule(match("signedUpAt", Operator.AFTER, text("2026-01-01T00:00:00Z")), "on", "new")],
      default: serve("off"),
    },
  });
}

describe("a client on the provider", () => {
  it("answers each type with the value, the variant and why", async () => {
    expect(await client.getBooleanDetails("checkout", true)).toMatchObject({ value: false, variant: "off" });
    expect(await client.getStringDetails("color", "none")).toMatchObject({
      value: "red",
      variant: "red",
      reason: "STATIC",
    });
    expect(await client.getNumberDetails("limit", 1)).toMatchObject({ value: 2.5, variant: "high" });
    expect(await client.getObjectDetails("search", {})).toMatchObject({ value: { max: 20 }, variant: "some" });
  });

  it("tells what decided, where, and what the flag has as metadata", async () => {
    const details = await client.getBooleanDetails("checkout", false, { plan: "pro" });
    expect(details).toEqual({
      flagKey: "checkout",
      value: true,
      variant: "on",
      reason: "TARGETING_MATCH",
      flagMetadata: {
        flagSetId: "production",
        version: String(mirror.revision),
        team: "payments",
        level: 2,
        isPublic: true,
        "flagwire.ruleId": "pro",
      },
    });
  });

  it("leaves a flag the names that it has taken itself", async () => {
    expect(await client.getBooleanDetails("recent", false)).toMatchObject({
      flagMetadata: { flagSetId: "accounts", version: "v3" },
    });
  });

  it("answers objects whatever the default is, for it may be any JSON value", async () => {
    expect(await client.getObjectValue<JsonValue>("search", null)).toEqual({ max: 20 });
    expect(await client.getObjectValue<JsonValue>("search", "none")).toEqual({ max: 20 });
    for (const fallback of ["none", 7, null, [1], { max: 1 }]) {
      expect(await client.getObjectDetails<JsonValue>("color", fallback)).toMatchObject({
        value: fallback,
        errorCode: "TYPE_MISMATCH",
        errorMessage: "flag color has the type string, but object was asked for",
      });
    }
  });

  it("answers with the type of the method, whatever JavaScript gives it as a default", async () => {
    const details = await client.getBooleanDetails("color", undefined as unknown as boolean);
    const errorMessage = "flag color has the type string, but boolean was asked for";
    expect(details).toMatchObject({ value: undefined, reason: "ERROR", errorCode: "TYPE_MISMATCH", errorMessage });
  });

  it("answers the default, without an error, where a flag has no value to give", async () => {
    for (const fallback of [true, false]) {
      const details = await client.getBooleanDetails("empty", fallback);
      expect(details).toMatchObject({ value: fallback, reason: "DISABLED" });
      expect(details.errorCode).toBeUndefined();
      expect(details.variant).toBeUndefined();
    }
  });

  it("keeps the reasons that OpenFeature has no word for", async () => {
    expect(await client.getBooleanDetails("killed", true)).toMatchObject({ value: false, reason: "KILLED" });
    expect(await client.getBooleanDetails("dependent", true)).toMatchObject({
      value: false,
      reason: "PREREQUISITE_FAILED",
      flagMetadata: { "flagwire.prerequisiteKey": "killed" },
    });
  });

  it.each([
    ["FLAG_NOT_FOUND", "missing", "there is no flag missing"],
    ["TYPE_MISMATCH", "color", "flag color has the type string"],
    ["TARGETING_KEY_MISSING", "split", "the context's targetingKey is missing"],
  ])("answers the default with %s", async (errorCode, key, message) => {
    for (const fallback of [true, false]) {
      const details = await client.getBooleanDetails(key, fallback);
      expect(details).toMatchObject({ value: fallback, reason: "ERROR", errorCode });
      expect(details.errorMessage).toContain(message);
    }
  });

  it("answers the default with GENERAL where the context cannot be read", async () => {
    const provider = new FlagwireProvider(mirror);
    await provider.initialize();
    const context = Object.defineProperty({}, "plan", {
      get: () => {
        throw new Error("no");
      },
    });
    expect(await provider.resolveBooleanEvaluation("checkout", true, context)).toMatchObject({
      value: true,
      reason: "ERROR",
      errorCode: "GENERAL",
    });
    await provider.onClose();
  });

  it("splits by the targeting key as the mirror does", async () => {
    for (let user = 0; user < 20; user++) {
      const context = { targetingKey: `user-${user}` };
      const details = await client.getBooleanDetails("split", false, context);
      expect(details).toMatchObject({ reason: "SPLIT", value: mirror.boolean("split", false, context) });
    }
  });

  it("takes dates in the context", async () => {
    expect(await client.getBooleanValue("recent", false, { signedUpAt: new Date("2026-05-01") })).toBe(true);
    expect(await client.getBooleanValue("recent", true, { signedUpAt: new Date("2025-05-01") })).toBe(false);
  });
});

describe("the context", () => {
  afterEach(() => {
    OpenFeature.setContext({});
    client.setContext({});
  });

  // Each layer says more of the plan than the one before, so that the answer tells which has won.
  it("is merged as the SDK does it: API, transaction, client, invocation, hooks", async () => {
    OpenFeature.setTransactionContextPropagator(new AsyncLocalStorageTransactionContextPropagator());
    const isPro = (context?: EvaluationContext) => client.getBooleanValue("checkout", false, context);
    const within = (plan: string, context?: EvaluationContext) =>
      new Promise((resolve) => OpenFeature.setTransactionContext({ plan }, () => resolve(isPro(context))));

    OpenFeature.setContext({ plan: "pro" });
    expect(await isPro()).toBe(true);
    expect(await within("free")).toBe(false);
    OpenFeature.setContext({ plan: "free" });
    expect(await within("pro")).toBe(true);
    client.setContext({ plan: "free" });
    expect(await within("pro")).toBe(false);
    expect(await within("free", { plan: "pro" })).toBe(true);
    const hooks = [{ before: () => ({ plan: "free" }) }];
    expect(await client.getBooleanValue("checkout", true, { plan: "pro" }, { hooks })).toBe(false);
  });
});

describe("tracking", () => {
  it("is passed on with the merged context and the details", () => {
    client.setContext({ plan: "pro" });
    client.track("purchased", { targetingKey: "user-7" }, { value: 99.5, currency: "EUR" });
    client.setContext({});
    expect(tracked).toHaveBeenCalledExactlyOnceWith(
      "purchased",
      { plan: "pro", targetingKey: "user-7" },
      { value: 99.5, currency: "EUR" },
    );
  });

  it("disturbs nobody where its receiver throws, at once or later", async () => {
    for (const onTrack of [() => Promise.reject(new Error("later")), () => expect.unreachable()]) {
      const provider = new FlagwireProvider(mirror, { onTrack });
      expect(() => provider.track("purchased", {}, {})).not.toThrow();
    }
    expect(() => new FlagwireProvider(mirror).track("purchased", {}, {})).not.toThrow();
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("a flag that is malformed", () => {
  it("is a PARSE_ERROR, and the others answer", async () => {
    const clock = new VirtualClock();
    const hub = createWatchHub({ clock, random: () => 0.5 });
    const broken = items.booleanFlag("broken", 1);
    if (broken.kind.case === "flag" && broken.kind.value.targeting) broken.kind.value.targeting.offVariant = "none";
    new Publisher(hub, [broken, items.booleanFlag("sound", 1)]);
    await OpenFeature.setProviderAndWait("broken", new FlagwireProvider({ transport: new HubTransport(hub), clock }));
    const malformed = await OpenFeature.getClient("broken").getBooleanDetails("broken", false);
    expect(malformed).toMatchObject({ value: false, reason: "ERROR", errorCode: "PARSE_ERROR" });
    expect(await OpenFeature.getClient("broken").getBooleanValue("sound", false)).toBe(true);
  });
});
