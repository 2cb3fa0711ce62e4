import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConditionSchema } from "../../gen/flagwire/v1/condition_pb.js";
import {
  type EvaluateRequest,
  EvaluateRequestSchema,
  EvaluateResponseSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import {
  type Context,
  type Mirror,
  openMirror,
  openRemote,
  type Remote,
  type RemoteTransport,
  TransportError,
} from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

function flag(key: string, type: FlagType, value: Parameters<typeof create<typeof ValueSchema>>[1]): WatchItem {
  return create(WatchItemSchema, {
    kind: {
      case: "flag",
      value: {
        flag: { key, type, variants: { only: create(ValueSchema, value) }, revision: 1n, metadata: { team: "web" } },
        targeting: { flagKey: key, enabled: true, default: { kind: { case: "variant", value: "only" } }, revision: 1n },
      },
    },
  });
}

/** A flag that is disabled, and has no off variant to answer with. */
function disabled(key: string): WatchItem {
  const item = booleanFlag(key, 1);
  if (item.kind.case === "flag" && item.kind.value.targeting !== undefined) {
    item.kind.value.targeting.enabled = false;
    item.kind.value.targeting.offVariant = "";
  }
  return item;
}

/** Serves `on` where the attribute `plan` is `pro`. */
function conditional(key: string, attribute = "plan"): WatchItem {
  const item = booleanFlag(key, 1, "off");
  if (item.kind.case === "flag" && item.kind.value.targeting !== undefined) {
    const condition = create(ConditionSchema, {
      kind: {
        case: "match",
        value: { attribute, operator: 1, values: [{ kind: { case: "stringValue", value: "pro" } }] },
      },
    });
    item.kind.value.targeting.rules = [
      { $typeName: "flagwire.v1.Rule", id: "pros", description: "", condition, serve: serveOn() },
    ];
  }
  return item;
}

function serveOn() {
  return { $typeName: "flagwire.v1.Serve", kind: { case: "variant", value: "on" } } as const;
}

const ATTRIBUTES = ["plan", "a.plan", "a.length", "a", "list"];

let mirror: Mirror;
let clock: VirtualClock;

beforeEach(async () => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  new Publisher(hub, [
    booleanFlag("bool", 1),
    flag("text", FlagType.STRING, { kind: { case: "stringValue", value: "blue" } }),
    flag("count", FlagType.NUMBER, { kind: { case: "numberValue", value: 3 } }),
    flag("config", FlagType.OBJECT, {
      kind: {
        case: "structValue",
        value: { fields: { a: create(ValueSchema, { kind: { case: "numberValue", value: 1 } }) } },
      },
    }),
    flag("broken", FlagType.NUMBER, { kind: { case: "stringValue", value: "not a number" } }),
    conditional("rule"),
    disabled("off"),
    ...ATTRIBUTES.map((attribute) => conditional(`has ${attribute}`, attribute)),
  ]);
  mirror = await openMirror({ transport: new HubTransport(hub), clock, random: () => 0.5 });
});

afterEach(() => mirror.close());

describe("a mirror", () => {
  it("answers each type", () => {
    expect(mirror.boolean("bool", false)).toBe(true);
    expect(mirror.string("text", "")).toBe("blue");
    expect(mirror.number("count", 0)).toBe(3);
    expect(mirror.object("config", { a: 0 })).toEqual({ a: 1 });
  });

  it("answers by the context", () => {
    expect(mirror.boolean("rule", false, { targetingKey: "u1", plan: "pro" })).toBe(true);
    expect(mirror.boolean("rule", true, { targetingKey: "u1", plan: "free" })).toBe(false);
    expect(mirror.details("rule", false, { plan: "pro" })).toEqual({
      flagKey: "rule",
      value: true,
      variant: "on",
      reason: "TARGETING_MATCH",
      ruleId: "pros",
      prerequisiteKey: undefined,
      errorCode: undefined,
      errorMessage: undefined,
      revision: 1,
      metadata: undefined,
    });
  });

  it("hands out the flag's metadata", () => {
    expect(mirror.details("text", "").metadata).toEqual({ team: "web" });
  });

  it("answers the default for another type, an unknown and a malformed flag", () => {
    expect(mirror.boolean("text", true)).toBe(true);
    expect(mirror.string("bool", "mine")).toBe("mine");
    expect(mirror.number("nowhere", 7)).toBe(7);
    expect(mirror.number("broken", 7)).toBe(7);
    expect(mirror.object("count", { b: 2 })).toEqual({ b: 2 });
  });

  it.each([
    ["text", true, "TYPE_MISMATCH"],
    ["bool", "x", "TYPE_MISMATCH"],
    ["config", 1, "TYPE_MISMATCH"],
    ["count", { a: 1 }, "TYPE_MISMATCH"],
    ["nowhere", 1, "FLAG_NOT_FOUND"],
    ["broken", 1, "MALFORMED_FLAG"],
    ["broken", "x", "MALFORMED_FLAG"],
  ])("explains %s with the default %j as %s", (key, defaultValue, errorCode) => {
    const details = mirror.details(key, defaultValue);
    expect(details).toMatchObject({
      flagKey: key,
      value: defaultValue,
      variant: undefined,
      reason: "ERROR",
      errorCode,
    });
    expect(details.errorMessage).toContain(key);
  });

  it("answers with the flag's reason where it has no value, whatever the type of the default", () => {
    for (const defaultValue of ["mine", true, 1]) {
      const details = mirror.details("off", defaultValue);
      expect(details).toMatchObject({ value: defaultValue, reason: "DISABLED", errorCode: undefined });
    }
  });

  it("takes any type where the default is undefined", () => {
    expect(mirror.details("text", undefined)).toMatchObject({ value: "blue", errorCode: undefined });
  });

  it("does not stumble over what a context inherits, be it a getter that throws", () => {
    class User {
      targetingKey = "u1";
      get plan(): string {
        throw new Error("not yet");
      }
    }
    expect(mirror.details("rule", true, new User() as never)).toMatchObject({ value: false, reason: "DEFAULT" });
    expect(mirror.boolean("rule", true, new User() as never)).toBe(false);
    expect(mirror.explain("rule", true, new User() as never)).toMatchObject({ value: false, reason: "DEFAULT" });
  });

  it("never throws, whatever the context and the key", () => {
    const throwing = Object.defineProperty({}, "plan", {
      enumerable: true,
      get() {
        throw new Error("no");
      },
    });
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error("no");
        },
        getOwnPropertyDescriptor: () => {
          throw new Error("no");
        },
        ownKeys: () => {
          throw new Error("no");
        },
      },
    );
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const cyclic: Record<string, unknown> = { plan: "free" };
    cyclic.self = cyclic;
    const odd: unknown[] = [
      null,
      undefined,
      0,
      "text",
      [],
      Symbol("s"),
      1n,
      () => 1,
      throwing,
      hostile,
      revoked,
      cyclic,
      Object.create(null),
    ];
    for (const context of odd) {
      expect(mirror.boolean("rule", false, context as Context)).toBe(false);
      expect(mirror.details("rule", false, context as Context).value).toBe(false);
    }
    expect(mirror.details("rule", true, hostile)).toMatchObject({ value: true, reason: "ERROR", errorCode: "GENERAL" });
    for (const key of [Symbol("s"), Object.create(null)]) {
      expect(mirror.boolean(key, true)).toBe(true);
      expect(mirror.details(key, true)).toMatchObject({ value: true, reason: "ERROR" });
    }
    for (const key of [undefined, null, 1, {}, "__proto__", "constructor"]) {
      expect(mirror.boolean(key as string, true)).toBe(true);
      expect(mirror.details(key as string, true).errorCode).toBe("FLAG_NOT_FOUND");
    }
  });
});

describe("a remote", () => {
  const requests: EvaluateRequest[] = [];
  const timeouts: number[] = [];
  let answer: () => ReturnType<RemoteTransport["evaluate"]>;
  let remote: Remote;

  beforeEach(async () => {
    requests.length = 0;
    timeouts.length = 0;
    const transport: RemoteTransport = {
      address: "http://server.test",
      evaluate: (request, timeoutMs) => {
        requests.push(request);
        timeouts.push(timeoutMs);
        return answer();
      },
      close: async () => {},
    };
    remote = await openRemote({ transport, environment: "staging" });
  });

  const respond = (fields: Parameters<typeof create<typeof EvaluateResponseSchema>>[1]) => async () =>
    create(EvaluateResponseSchema, fields);

  it("asks the server with the whole context", async () => {
    answer = respond({
      flagKey: "f",
      value: { kind: { case: "boolValue", value: true } },
      variant: "on",
      reason: "STATIC",
    });
    const context = {
      targetingKey: "u1",
      plan: "pro",
      since: new Date(0),
      list: [1, undefined],
      gone: undefined,
      nan: Number.NaN,
      sparse: new Array(2),
    };
    expect(await remote.boolean("f", false, context)).toBe(true);
    expect(requests[0]).toMatchObject({
      environment: "staging",
      flagKey: "f",
      context: {
        targetingKey: "u1",
        attributes: { plan: "pro", since: "1970-01-01T00:00:00.000Z", list: [1, null], sparse: [null, null] },
      },
    });
    expect(Object.keys(requests[0]?.context?.attributes ?? {})).toEqual(["plan", "since", "list", "sparse"]);
  });

  it("gives the server half a second, unless told otherwise", async () => {
    answer = respond({ flagKey: "f", reason: "DISABLED" });
    await remote.boolean("f", true);
    expect(timeouts).toEqual([500]);
  });

  class Account {
    plan = "pro";
    get list() {
      return ["pro"];
    }
  }
  const odd: readonly [what: string, context: object][] = [
    ["a class's instance", new Account()],
    ["a class's instance within", { a: new Account() }],
    ["an heir", Object.create({ plan: "pro", a: { plan: "pro" }, list: ["pro"] })],
    ["hidden properties", Object.defineProperty({}, "plan", { value: "pro", enumerable: false })],
    ["hidden properties within", { a: Object.defineProperty({}, "plan", { value: "pro", enumerable: false }) }],
    ["boxed primitives", { plan: new String("pro"), a: new String("pro"), list: [new String("pro")] }],
    ["toJSON", { plan: { toJSON: () => "pro" }, a: { toJSON: () => ({ plan: "pro" }) } }],
    ["maps", { a: new Map([["plan", "pro"]]) }],
    ["exact keys that JSON cannot hold", { "a.plan": undefined, a: { plan: "pro" } }],
    ["exact keys of null", { "a.plan": null, a: { plan: "pro" } }],
    ["sparse lists", { list: Object.assign([], { 3: "pro" }) }],
  ];

  it.each(odd)("sends %s as a mirror reads it", async (_what, context) => {
    answer = respond({ flagKey: "f", reason: "DISABLED" });
    await remote.boolean("f", true, context as Context);
    expect(requests).toHaveLength(1);
    const sent = fromBinary(EvaluateRequestSchema, toBinary(EvaluateRequestSchema, requests[0] as EvaluateRequest));
    const answers = (asked: object) =>
      ATTRIBUTES.map((attribute) => mirror.boolean(`has ${attribute}`, false, asked as Context));
    expect(answers({ ...sent.context?.attributes })).toEqual(answers(context));
  });

  it("sends an inherited targeting key", async () => {
    answer = respond({ flagKey: "f", reason: "DISABLED" });
    await remote.boolean("f", true, Object.create({ targetingKey: "u1" }));
    expect(requests[0]?.context?.targetingKey).toBe("u1");
  });

  it("answers with the same details as a mirror", async () => {
    answer = respond({
      flagKey: "rule",
      value: { kind: { case: "boolValue", value: true } },
      variant: "on",
      reason: "TARGETING_MATCH",
      ruleId: "pros",
      revision: 1n,
    });
    expect(await remote.details("rule", false)).toEqual(mirror.details("rule", false, { plan: "pro" }));
  });

  it("answers the default where the server has no value, with the server's reason", async () => {
    answer = respond({ flagKey: "f", reason: "DISABLED", revision: 4n });
    expect(await remote.details("f", "mine")).toMatchObject({
      value: "mine",
      reason: "DISABLED",
      variant: undefined,
      revision: 4,
    });
    answer = respond({ flagKey: "f", reason: "ERROR", error: { code: "MALFORMED_FLAG", message: "bad" } });
    expect(await remote.details("f", 1)).toMatchObject({ value: 1, errorCode: "MALFORMED_FLAG", errorMessage: "bad" });
  });

  it("answers the default for another type", async () => {
    answer = respond({
      flagKey: "f",
      value: { kind: { case: "stringValue", value: "x" } },
      variant: "v",
      reason: "STATIC",
    });
    expect(await remote.number("f", 5)).toBe(5);
    expect(await remote.details("f", 5)).toMatchObject({ value: 5, variant: undefined, errorCode: "TYPE_MISMATCH" });
  });

  it.each([
    [new TransportError("NOT_FOUND", "no flag f", "FLAG_NOT_FOUND"), "FLAG_NOT_FOUND"],
    [new TransportError("NOT_FOUND", "no environment", "ENVIRONMENT_NOT_FOUND"), "GENERAL"],
    [new TransportError("UNAVAILABLE", "connect ECONNREFUSED"), "GENERAL"],
    [new TransportError("DEADLINE_EXCEEDED", "too slow"), "GENERAL"],
  ])("answers the default, never rejecting, after %s", async (error, errorCode) => {
    answer = () => Promise.reject(error);
    expect(await remote.boolean("f", true)).toBe(true);
    expect(await remote.details("f", true)).toMatchObject({ value: true, reason: "ERROR", errorCode });
  });

  it("cannot send what is nested without end or throws, where a mirror that does not need it answers", async () => {
    answer = respond({ flagKey: "f", value: { kind: { case: "boolValue", value: true } }, reason: "STATIC" });
    const deep: Record<string, unknown> = { plan: "pro" };
    deep.self = deep;
    const throwing = Object.defineProperty({ plan: "pro" }, "other", {
      enumerable: true,
      get() {
        throw new Error("no");
      },
    });
    for (const context of [deep, throwing]) {
      expect(await remote.details("rule", false, context)).toMatchObject({ value: false, errorCode: "GENERAL" });
      expect(mirror.details("rule", false, context)).toMatchObject({ value: true, errorCode: undefined });
    }
  });

  it("answers the default for a context that cannot be sent", async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    expect(await remote.details("f", 1, cyclic)).toMatchObject({ value: 1, errorCode: "GENERAL" });
    expect(requests).toHaveLength(0);
  });
});
