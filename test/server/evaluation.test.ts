import { clone, create, toJson } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { EvaluateRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { RuleSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { evaluationHandlers } from "../../src/server/evaluation.js";
import { Head } from "../../src/server/state/head.js";
import { createMemoryUsageLedger } from "../../src/server/usage/memory-usage-ledger.js";
import { targetingId } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import {
  booleanFlag,
  everyone,
  invalid,
  match,
  number,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

const never = new AbortController().signal;

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const evaluateJson = (body: unknown) => server.json("flagwire.v1.EvaluationService/Evaluate", body);

describe("Evaluate", () => {
  it("answers with the value, the variant, why, and at which revision", async () => {
    const { revision } = await server.admin.createFlag({
      flag: booleanFlag("a", { metadata: { team: "x", level: 2 } }),
      targeting: {
        enabled: true,
        rules: [rule(match("plan", Operator.IN, text("gold")), "on", "gold")],
        default: serve("off"),
      },
    });
    const gold = await server.evaluation.evaluate({ flagKey: "a", context: { attributes: { plan: "gold" } } });
    expect(gold).toMatchObject({
      flagKey: "a",
      value: { kind: { case: "boolValue", value: true } },
      variant: "on",
      reason: "TARGETING_MATCH",
      ruleId: "gold",
      revision,
      metadata: { team: "x", level: 2 },
      prerequisiteKey: "",
    });
    expect(gold.error).toBeUndefined();
    const other = await server.evaluation.evaluate({ flagKey: "a" });
    expect(other).toMatchObject({ variant: "off", reason: "DEFAULT", ruleId: "" });
  });

  it("refuses flags and environments that do not exist, and requests without a flag", async () => {
    const { evaluation } = server;
    expect(await refusalOf(evaluation.evaluate({ flagKey: "a" }))).toMatchObject(refused("NotFound", "FLAG_NOT_FOUND"));
    const nowhere = evaluation.evaluate({ flagKey: "a", environment: "nowhere" });
    expect(await refusalOf(nowhere)).toMatchObject(refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
    expect(await refusalOf(evaluation.evaluate({}))).toMatchObject(invalid("flag_key"));
  });

  it("refuses a key of a megabyte like any other that does not exist, and so do other methods", async () => {
    const { evaluation, admin } = server;
    const flagKey = "k€".repeat(250_000);
    const options = { timeoutMs: 10_000 };
    const calls = [
      evaluation.evaluate({ flagKey }, options),
      admin.getFlag({ key: flagKey }, options),
      admin.killFlags({ flagKeys: [flagKey], reason: "r" }, options),
    ];
    for (const call of calls) expect(await refusalOf(call)).toMatchObject(refused("NotFound", "FLAG_NOT_FOUND"));
  });

  it("tells how the answer came about if it is asked to, over every protocol alike", async () => {
    const targeting = { enabled: true, rules: [rule(match("plan", Operator.IN, text("gold")), "on", "gold")] };
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { ...targeting, default: serve("off") } });
    const context = { targetingKey: "u1", attributes: { plan: "gold" } };
    const { trace, ...answer } = await server.evaluation.evaluate({ flagKey: "a", context, explain: true });
    expect(answer).toMatchObject({ variant: "on", ruleId: "gold" });
    expect(trace?.flags).toMatchObject([{ flagKey: "a", variant: "on", ruleId: "gold", steps: [{}, {}] }]);
    const { body } = await evaluateJson({ flagKey: "a", context, explain: true });
    expect(body).toMatchObject({ variant: "on", trace: toJson(TraceSchema, trace ?? create(TraceSchema)) as object });
    expect((await server.evaluation.evaluate({ flagKey: "a", context })).trace).toBeUndefined();
  });

  it("leaves private attributes out of what it tells", async () => {
    const rules = [rule(match("email", Operator.CONTAINS, text("@")), "on", "r")];
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, rules } });
    const context = { targetingKey: "secret-1", attributes: { email: "secret-2@test" } };
    const ask = (privateAttributes: string[]) =>
      evaluateJson({ flagKey: "a", context: { ...context, privateAttributes }, explain: true });
    expect(JSON.stringify((await ask([])).body)).toContain("secret-2");
    expect(JSON.stringify((await ask(["email", "targetingKey"])).body)).not.toContain("secret");
  });

  it("keeps its answers, but not large ones, which the rules of a flag would have many of", async () => {
    const flag = (key: string, length: number) => stringFlag(key, [], { variants: { v: text("x".repeat(length)) } });
    const targeting = { enabled: true, default: serve("v") };
    await server.admin.createFlag({ flag: flag("small", 60_000), targeting });
    await server.admin.createFlag({ flag: flag("large", 66_000), targeting });
    const hub = createWatchHub({ clock: systemClock, random: systemRandom });
    const head = await Head.open(server.store, hub);
    const { evaluate } = evaluationHandlers({
      head,
      hub,
      clock: systemClock,
      usage: createMemoryUsageLedger(systemClock),
    });
    const ask = (flagKey: string) =>
      evaluate(create(EvaluateRequestSchema, { flagKey }), { peer: "", header: () => undefined, signal: never });
    expect(ask("small")).toBe(ask("small"));
    expect(ask("large")).not.toBe(ask("large"));
    expect(ask("large")).toEqual(ask("large"));
    await head.close();
  });

  it("refuses private attributes that cannot be names", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const ask = (privateAttributes: string[]) =>
      refusalOf(server.evaluation.evaluate({ flagKey: "a", context: { privateAttributes } }));
    expect(await ask(["plan", "", "x".repeat(257)])).toMatchObject(
      invalid("context.private_attributes[1]", "context.private_attributes[2]"),
    );
    expect(await ask(new Array<string>(257).fill("x"))).toMatchObject(invalid("context.private_attributes"));
  });

  it("names the prerequisite that failed", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const prerequisites = [{ flagKey: "a", variants: ["on", "off"] }];
    await server.admin.createFlag({
      flag: booleanFlag("b"),
      targeting: { enabled: true, offVariant: "off", prerequisites, default: serve("on") },
    });
    const answer = await server.evaluation.evaluate({ flagKey: "b" });
    expect(answer).toMatchObject({ variant: "off", reason: "PREREQUISITE_FAILED", prerequisiteKey: "a" });
  });

  it("answers a rollout without anything to hash with an error, not with a status", async () => {
    const rollout = { kind: { case: "rollout" as const, value: { shares: [{ variant: "on", weight: 1 }] } } };
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: rollout } });
    const answer = await server.evaluation.evaluate({ flagKey: "a" });
    expect(answer).toMatchObject({ reason: "ERROR", error: { code: "TARGETING_KEY_MISSING" }, variant: "" });
    expect(answer.value).toBeUndefined();
    const known = await server.evaluation.evaluate({ flagKey: "a", context: { targetingKey: "u" } });
    expect(known).toMatchObject({ reason: "SPLIT", variant: "on" });
  });

  it("takes the targeting key from the attributes where it is not given itself", async () => {
    const targets = [{ variant: "on", targetingKeys: ["u"] }];
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, targets } });
    const reason = async (context: object) => (await server.evaluation.evaluate({ flagKey: "a", context })).reason;
    expect(await reason({ attributes: { targetingKey: "u" } })).toBe("TARGETING_MATCH");
    expect(await reason({ targetingKey: "u", attributes: { targetingKey: "v" } })).toBe("TARGETING_MATCH");
    expect(await reason({ targetingKey: "v", attributes: { targetingKey: "u" } })).toBe("DEFAULT");
  });

  it("takes 32 levels of context and refuses more, naming the attribute", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const nested = (levels: number, wrap: (inner: unknown) => unknown) => {
      let value: unknown = 1;
      for (let level = 0; level < levels; level++) value = wrap(value);
      return value;
    };
    for (const wrap of [(inner: unknown) => ({ inner }), (inner: unknown) => [inner]]) {
      const context = (levels: number) => ({
        attributes: { "my attribute": nested(levels - 1, wrap), other: 1 } as never,
      });
      await server.evaluation.evaluate({ flagKey: "a", context: context(32) });
      const tooDeep = server.evaluation.evaluate({ flagKey: "a", context: context(33) });
      expect(await refusalOf(tooDeep)).toMatchObject(invalid('context.attributes["my attribute"]'));
      const bulk = server.evaluation.bulkEvaluate({ context: context(33) });
      expect(await refusalOf(bulk)).toMatchObject(invalid('context.attributes["my attribute"]'));
      const bottomless = server.evaluation.evaluate({ flagKey: "a", context: context(500) });
      expect((await refusalOf(bottomless)).code).toBe("InvalidArgument");
    }
  });

  describe("takes a context whose", () => {
    const limit = 65_536;
    const long = "x".repeat(limit);
    const list = (length: number) => Array.from({ length }, () => 1);
    const inAttribute = (value: unknown) => ({ context: { attributes: { "my attribute": value as never } } });
    const cases: Record<string, [taken: object, refused: object, field?: string]> = {
      "list has 1,000 elements": [inAttribute(list(1_000)), inAttribute(list(1_001))],
      "inner list has 1,000 elements": [inAttribute({ a: [list(1_000)] }), inAttribute({ a: [list(1_001)] })],
      "string has 65,536 characters": [inAttribute(long), inAttribute(`${long}x`)],
      "inner string has 65,536 characters": [inAttribute({ a: long }), inAttribute({ a: `${long}x` })],
      "list has strings of 65,536 characters": [inAttribute([long]), inAttribute([long, "x"])],
      "targeting key has 65,536 characters": [
        { context: { targetingKey: long } },
        { context: { targetingKey: `${long}x` } },
        "context.targeting_key",
      ],
    };
    it.each(Object.entries(cases))("%s, and refuses more", async (_, [taken, tooMuch, field]) => {
      await server.admin.createFlag({ flag: booleanFlag("a") });
      const { evaluation } = server;
      const named = invalid(field ?? 'context.attributes["my attribute"]');
      await evaluation.evaluate({ flagKey: "a", ...taken });
      expect(await refusalOf(evaluation.evaluate({ flagKey: "a", ...tooMuch }))).toMatchObject(named);
      await evaluation.bulkEvaluate(taken);
      expect(await refusalOf(evaluation.bulkEvaluate(tooMuch))).toMatchObject(named);
    });
  });

  it("is not impressed by attributes named like members of JavaScript's objects", async () => {
    const isThere = (name: string) => rule(match(name, Operator.EXISTS), "on", "there");
    await server.admin.createFlag({
      flag: booleanFlag("a"),
      targeting: {
        enabled: true,
        rules: [isThere("__proto__"), { ...isThere("constructor"), id: "2" }],
        default: serve("off"),
      },
    });
    const ruleIdOf = async (context: string) => {
      const { body } = await evaluateJson(`{"flagKey":"a","context":{"attributes":${context}}}`);
      return (body as { ruleId?: string }).ruleId;
    };
    expect(await ruleIdOf("{}")).toBeUndefined();
    expect(await ruleIdOf('{"constructor":"x"}')).toBe("2");
    expect(await ruleIdOf('{"__proto__":"x"}')).toBe("there");
    expect(await ruleIdOf('{"__proto__":{"constructor":"x"}}')).toBe("there");
  });
});

describe("Evaluate as JSON", () => {
  it("gives values in their own types, and leaves out what there is not", async () => {
    const create = (key: string, type: FlagType, value: object) =>
      server.admin.createFlag({
        flag: { key, type, kind: FlagKind.OPERATIONAL, variants: { v: value } },
        targeting: { enabled: true, default: serve("v") },
      });
    await create("boolean", FlagType.BOOLEAN, { kind: { case: "boolValue", value: false } });
    await create("string", FlagType.STRING, text("ü€😀"));
    await create("number", FlagType.NUMBER, number(-0.5));
    const fields = {
      list: {
        kind: {
          case: "listValue" as const,
          value: { values: [number(1), { kind: { case: "nullValue" as const, value: 0 as const } }] },
        },
      },
    };
    await create("object", FlagType.OBJECT, { kind: { case: "structValue", value: { fields } } });
    const values: Record<string, unknown> = {
      boolean: false,
      string: "ü€😀",
      number: -0.5,
      object: { list: [1, null] },
    };
    for (const [flagKey, value] of Object.entries(values)) {
      const { status, body } = await evaluateJson({ flagKey });
      expect(status).toBe(200);
      expect(body).toEqual({ flagKey, value, variant: "v", reason: "STATIC", revision: "5" });
    }
    await server.admin.createFlag({ flag: stringFlag("off", ["v"]) });
    expect((await evaluateJson({ flagKey: "off" })).body).toEqual({
      flagKey: "off",
      reason: "DISABLED",
      revision: "6",
    });
  });

  it("takes the context as plain JSON", async () => {
    const rules = [rule(match("user.age", Operator.GREATER_OR_EQUAL, number(18)), "on")];
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, rules } });
    const context = { targetingKey: "u", attributes: { user: { age: 18 } } };
    expect((await evaluateJson({ flagKey: "a", context })).body).toMatchObject({ value: true, ruleId: "rule-1" });
  });

  it("refuses fields that do not exist, by name, and what is not JSON", async () => {
    for (const [body, part] of [
      [{ flagKey: "a", targetingKey: "u" }, "targetingKey"],
      [{ flagKey: "a", context: { userId: "u" } }, "userId"],
      [{ flagKey: 7 }, "flag_key"],
      ['{"flagKey":', ""],
    ] as const) {
      const { status, body: answer } = await evaluateJson(body);
      expect([status, (answer as { code: string }).code]).toEqual([400, "invalid_argument"]);
      expect(JSON.stringify(answer)).toContain(part);
    }
  });

  it("refuses half a surrogate pair in the context, which gRPC cannot even carry", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const context = (attributes: string) => `{"flagKey":"a","context":{"attributes":${attributes}}}`;
    expect((await evaluateJson(context('{"x":"\\ud83d\\ude00"}'))).status).toBe(200);
    for (const attributes of [
      '{"x":"\\ud800"}',
      '{"x":["\\udc00"]}',
      '{"x":{"y":"a\\ud800b"}}',
      '{"x":{"\\ud800":1}}',
      '{"x":1,"\\ud800":1}',
    ]) {
      const { status, body } = await evaluateJson(context(attributes));
      expect([attributes, status]).toEqual([attributes, 400]);
      expect(body).toMatchObject({ code: "invalid_argument", message: expect.stringContaining("surrogate") });
      expect((body as { message: string }).message).toMatch(/^context\.attributes\["(x|\\ud800)"\]/);
    }
    const { status } = await evaluateJson('{"flagKey":"a","context":{"targetingKey":"\\ud800"}}');
    expect(status).toBe(400);
  });

  it("answers an unknown flag with 404 and a reason", async () => {
    const { status, body } = await evaluateJson({ flagKey: "nothing" });
    expect(status).toBe(404);
    expect(JSON.stringify(body)).toContain("FLAG_NOT_FOUND");
  });
});

describe("BulkEvaluate", () => {
  beforeEach(async () => {
    for (const key of ["c", "a", "b"]) {
      await server.admin.createFlag({
        flag: booleanFlag(key),
        targeting: { enabled: true, rules: [rule(everyone, "on")] },
      });
    }
  });

  it("answers all flags, sorted, at one revision", async () => {
    const { evaluations, revision } = await server.evaluation.bulkEvaluate({});
    expect(evaluations.map(({ flagKey, variant }) => [flagKey, variant])).toEqual([
      ["a", "on"],
      ["b", "on"],
      ["c", "on"],
    ]);
    expect(revision).toBe(4n);
    for (const evaluation of evaluations) expect(evaluation.revision).toBe(revision);
  });

  it("answers the named ones in their order, and each unknown one with an error", async () => {
    const flagKeys = ["b", "nothing", "a", "c", ""];
    const { evaluations } = await server.evaluation.bulkEvaluate({ flagKeys });
    expect(evaluations.map(({ flagKey }) => flagKey)).toEqual(flagKeys);
    expect(evaluations.map(({ error }) => error?.code)).toEqual([
      undefined,
      "FLAG_NOT_FOUND",
      undefined,
      undefined,
      "FLAG_NOT_FOUND",
    ]);
    expect(evaluations[1]).toMatchObject({ reason: "ERROR", revision: 4n });
  });

  it("gives the same answers as Evaluate", async () => {
    const context = { targetingKey: "u", attributes: { x: 1 } };
    for (const answer of (await server.evaluation.bulkEvaluate({ context })).evaluations) {
      expect(await server.evaluation.evaluate({ flagKey: answer.flagKey, context })).toEqual(answer);
    }
  });

  it("takes 10,000 keys and refuses more", async () => {
    const flagKeys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);
    expect((await server.evaluation.bulkEvaluate({ flagKeys })).evaluations).toHaveLength(10_000);
    const more = server.evaluation.bulkEvaluate({ flagKeys: [...flagKeys, "a"] });
    expect(await refusalOf(more)).toMatchObject(invalid("flag_keys"));
  });

  it("refuses keys that are asked for twice, by their places", async () => {
    const twice = server.evaluation.bulkEvaluate({ flagKeys: ["a", "x", "a", "b", "x", "a"] });
    expect(await refusalOf(twice)).toMatchObject(invalid("flag_keys[2]", "flag_keys[4]", "flag_keys[5]"));
  });

  it("refuses answers of more than 16 MiB, and takes up to that", async () => {
    const large = text("x".repeat(1024 * 1024 - 1_024));
    const keys = Array.from({ length: 17 }, (_, index) => `large-${index}`);
    for (const key of keys) {
      await server.admin.createFlag({
        flag: { key, type: FlagType.STRING, kind: FlagKind.OPERATIONAL, variants: { v: large } },
        targeting: { enabled: true, default: serve("v") },
      });
    }
    const { evaluation } = server;
    const tooLarge = refused("ResourceExhausted", "RESPONSE_TOO_LARGE");
    expect((await evaluation.bulkEvaluate({ flagKeys: keys.slice(1) })).evaluations).toHaveLength(16);
    expect(await refusalOf(evaluation.bulkEvaluate({ flagKeys: keys }))).toMatchObject(tooLarge);
    expect(await refusalOf(evaluation.bulkEvaluate({}))).toMatchObject(tooLarge);
    // Answers that are known already, at another revision.
    await server.admin.createFlag({ flag: booleanFlag("d") });
    expect(await refusalOf(evaluation.bulkEvaluate({ flagKeys: keys }))).toMatchObject(tooLarge);
    expect((await evaluation.bulkEvaluate({ flagKeys: ["d", ...keys.slice(1)] })).evaluations).toHaveLength(17);
  });

  it("refuses an environment that does not exist", async () => {
    const nowhere = server.evaluation.bulkEvaluate({ environment: "nowhere" });
    expect(await refusalOf(nowhere)).toMatchObject(refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
  });

  it("by JSON is a list whose items carry their flag's key", async () => {
    const { body } = await server.json("flagwire.v1.EvaluationService/BulkEvaluate", { flagKeys: ["a", "x"] });
    expect(body).toMatchObject({
      evaluations: [
        { flagKey: "a", value: true },
        { flagKey: "x", error: { code: "FLAG_NOT_FOUND" } },
      ],
      revision: "4",
    });
  });
});

describe("a write", () => {
  it("is seen by every read after its answer, on any connection and by any protocol", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true } });
    for (let round = 0; round < 20; round++) {
      const variant = round % 2 === 0 ? "on" : "off";
      const targeting = { flagKey: "a", enabled: true, default: serve(variant) };
      const { revision } = await server.admin.updateTargeting({ targeting });
      const [single, bulk, json] = await Promise.all([
        server.evaluation.evaluate({ flagKey: "a" }),
        server.evaluation.bulkEvaluate({}),
        evaluateJson({ flagKey: "a" }),
      ]);
      expect(single).toMatchObject({ variant, revision });
      expect(bulk.evaluations).toMatchObject([{ variant, revision }]);
      expect(json.body).toMatchObject({ variant, revision: String(revision) });
    }
  });

  it("moves the revision of the answers of flags that it does not concern, too", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const before = await server.evaluation.evaluate({ flagKey: "a" });
    const { revision } = await server.admin.createFlag({ flag: booleanFlag("b") });
    expect(await server.evaluation.evaluate({ flagKey: "a" })).toEqual({ ...before, revision });
  });
});

describe("a flag that cannot be understood", () => {
  it("answers MALFORMED_FLAG alone, can be killed, and does not stand in the way of other edits", async () => {
    await server.admin.createFlag({ flag: booleanFlag("sound"), targeting: { enabled: true, default: serve("on") } });
    await server.admin.createFlag({ flag: booleanFlag("broken"), targeting: { enabled: true, offVariant: "off" } });
    await breakTargeting("broken");
    const broken = await server.evaluation.evaluate({ flagKey: "broken" });
    expect(broken).toMatchObject({ reason: "ERROR", error: { code: "MALFORMED_FLAG" } });
    await server.admin.updateFlag({ flag: booleanFlag("sound", { description: "d" }) });
    expect((await server.evaluation.evaluate({ flagKey: "sound" })).variant).toBe("on");
    await server.admin.killFlags({ flagKeys: ["broken"], reason: "r" });
    expect(await server.evaluation.evaluate({ flagKey: "broken" })).toMatchObject({ variant: "off", reason: "KILLED" });
    const mend = { flagKey: "broken", enabled: true, default: serve("on") };
    await server.admin.updateTargeting({ targeting: mend });
    await server.admin.reviveFlags({ flagKeys: ["broken"] });
    expect((await server.evaluation.evaluate({ flagKey: "broken" })).variant).toBe("on");
  });

  /** Writes past the server, as a newer version could have: an operator that this version does not know. */
  async function breakTargeting(flagKey: string): Promise<void> {
    const { records } = await server.store.load();
    const record = records.get(targetingId("production", flagKey));
    if (record?.kind.case !== "targeting") throw new Error("there are no settings to break");
    const after = clone(RecordSchema, record);
    if (after.kind.case !== "targeting") return;
    const condition = create(ConditionSchema, match("x", 99 as Operator, text("y")));
    after.kind.value.rules = [create(RuleSchema, { ...rule(everyone, "on", "r"), condition })];
    const changes = [{ id: targetingId("production", flagKey), after }];
    const result = await server.store.commit({ timeMs: 0, author: "", comment: "", changes, preconditions: [] });
    expect(result.kind).toBe("committed");
    await expect.poll(async () => (await server.evaluation.evaluate({ flagKey })).reason).toBe("ERROR");
  }
});
