import type { MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { type ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  booleanFlag,
  everyone,
  expectRefused,
  inSegment,
  invalid,
  match,
  not,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
  text,
} from "./admin-support.js";

type TargetingInit = MessageInitShape<typeof TargetingSchema>;
type ConditionInit = MessageInitShape<typeof ConditionSchema>;

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
  await server.admin.createFlag({ flag: booleanFlag("a") });
});

const update = (targeting: TargetingInit) =>
  server.admin.updateTargeting({ targeting: { flagKey: "a", ...targeting } });
const many = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("a change of settings", () => {
  it("without a mask replaces all, and says who and when", async () => {
    await update({ enabled: true, targets: [{ variant: "on", targetingKeys: ["u"] }] });
    const { targeting, revision } = await server.admin.updateTargeting(
      { targeting: { flagKey: "a", rules: [rule(everyone, "on")] } },
      { headers: { "flagwire-author": "bob" } },
    );
    expect(targeting).toMatchObject({ enabled: false, offVariant: "", targets: [], changedBy: "bob", revision });
    expect(targeting?.default).toBeUndefined();
    expect(targeting?.changedAt).toBeDefined();
    expect((await server.admin.getTargeting({ flagKey: "a" })).targeting).toEqual(targeting);
  });

  it("with a mask changes the named fields only", async () => {
    await update({ enabled: true, offVariant: "off", default: serve("on") });
    const { targeting } = await server.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("off"), offVariant: "ignored" },
      updateMask: { paths: ["default"] },
    });
    expect(targeting).toMatchObject({ enabled: true, offVariant: "off", default: serve("off") });
  });

  it("by JSON names its fields as JSON does", async () => {
    const { status, body } = await server.json("flagwire.v1.AdminService/UpdateTargeting", {
      targeting: { flagKey: "a", offVariant: "on", enabled: true },
      updateMask: "offVariant",
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ targeting: { offVariant: "on", default: { variant: "on" } }, revision: "3" });
    expect((body as { targeting: object }).targeting).not.toHaveProperty("enabled");
  });

  it("cannot name output-only fields in its mask", async () => {
    const paths = ["enabled", "killed", "changed_at", "changed_by", "revision", "flag_key", "environment"];
    const masked = () => server.admin.updateTargeting({ targeting: { flagKey: "a" }, updateMask: { paths } });
    const fields = paths.slice(1).map((_, index) => `update_mask.paths[${index + 1}]`);
    await expectRefused(server, masked, invalid(...fields));
  });

  it("ignores output-only fields without a mask", async () => {
    const { targeting } = await update({ enabled: true, killed: { reason: "r" }, changedBy: "x", revision: 77n });
    expect(targeting).toMatchObject({ enabled: true, changedBy: "anonymous", revision: 3n });
    expect(targeting?.killed).toBeUndefined();
  });

  it("gives rules without an id the next that is free", async () => {
    const rules = [rule(everyone, "on"), rule(everyone, "off", "rule-2"), rule(everyone, "on"), rule(everyone, "off")];
    const { targeting } = await update({ rules });
    expect(targeting?.rules.map(({ id }) => id)).toEqual(["rule-1", "rule-2", "rule-3", "rule-4"]);
  });

  it("that is the same again makes no revision", async () => {
    const rules = [rule(everyone, "on")];
    const { revision } = await update({ rules });
    expect((await update({ rules })).revision).toBe(revision);
  });

  it("is seen by an evaluation right after its answer", async () => {
    for (const variant of ["on", "off", "on", "off"]) {
      const { revision } = await update({ enabled: true, default: serve(variant) });
      expect(await server.evaluation.evaluate({ flagKey: "a" })).toMatchObject({ variant, revision });
    }
  });

  it("of a flag or in an environment that does not exist is refused", async () => {
    const unknownFlag = () => server.admin.updateTargeting({ targeting: { flagKey: "b" } });
    await expectRefused(server, unknownFlag, refused("NotFound", "FLAG_NOT_FOUND"));
    const unknownEnvironment = () => server.admin.updateTargeting({ environment: "x", targeting: { flagKey: "a" } });
    await expectRefused(server, unknownEnvironment, refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
    await expectRefused(server, () => server.admin.updateTargeting({}), invalid("targeting"));
  });

  it("takes its environment from either place, but not two different ones", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const inside = await server.admin.updateTargeting({
      targeting: { flagKey: "a", environment: "staging", enabled: true },
    });
    expect(inside.targeting?.environment).toBe("staging");
    expect((await server.admin.getTargeting({ flagKey: "a" })).targeting?.enabled).toBe(false);
    const both = () =>
      server.admin.updateTargeting({
        environment: "production",
        targeting: { flagKey: "a", environment: "staging" },
      });
    await expectRefused(server, both, invalid("targeting.environment"));
  });

  it("that is only tried answers how it would be", async () => {
    const before = await revisionOf(server);
    const tried = await server.admin.updateTargeting({ targeting: { flagKey: "a", enabled: true }, dryRun: true });
    expect([tried.revision, tried.targeting?.enabled]).toEqual([0n, true]);
    expect((await server.admin.getTargeting({ flagKey: "a" })).targeting?.enabled).toBe(false);
    expect(await revisionOf(server)).toBe(before);
  });

  it("survives a restart, however deep its conditions", async () => {
    let condition: ConditionInit = match("x", Operator.IN, text("y"));
    for (let level = 1; level < 32; level++) condition = { kind: { case: "all", value: { conditions: [condition] } } };
    await update({ enabled: true, rules: [rule(condition, "on")], default: serve("off") });
    expect((await server.admin.listHistory({})).entries[0]?.revision).toBe(3n);
    const context = { attributes: { x: "y" } };
    expect((await server.evaluation.evaluate({ flagKey: "a", context })).variant).toBe("on");
    await server.restart();
    expect((await server.evaluation.evaluate({ flagKey: "a", context })).variant).toBe("on");
    expect((await server.admin.listHistory({})).entries[0]?.revision).toBe(3n);
  });
});

describe("settings that are wrong", () => {
  it.each<[string, TargetingInit, string[]]>([
    [
      "variants that do not exist",
      { offVariant: "x", default: serve("y"), targets: [{ variant: "z", targetingKeys: ["u"] }] },
      ["targeting.off_variant", "targeting.default.variant", "targeting.targets[0].variant"],
    ],
    [
      "a variant named like a member of objects",
      { offVariant: "constructor", default: serve("__proto__") },
      ["targeting.off_variant", "targeting.default.variant"],
    ],
    [
      "rules without what they need",
      { rules: [{}, rule(everyone, "none"), { condition: {}, serve: {} }] },
      [
        "targeting.rules[0].condition",
        "targeting.rules[0].serve",
        "targeting.rules[1].serve.variant",
        "targeting.rules[2].condition",
        "targeting.rules[2].serve",
      ],
    ],
    [
      "rules of the same id",
      { rules: [rule(everyone, "on", "r"), rule(everyone, "on", "r")] },
      ["targeting.rules[1].id"],
    ],
    ["a rule's id with a space", { rules: [rule(everyone, "on", "a rule")] }, ["targeting.rules[0].id"]],
    [
      "a rule's description that is too long",
      { rules: [{ ...rule(everyone, "on"), description: "d".repeat(1_025) }] },
      ["targeting.rules[0].description"],
    ],
    ["257 rules", { rules: many(257).map(() => rule(everyone, "on")) }, ["targeting.rules"]],
    ["a target without keys", { targets: [{ variant: "on" }] }, ["targeting.targets[0].targeting_keys"]],
    [
      "an empty targeting key",
      { targets: [{ variant: "on", targetingKeys: ["u", ""] }] },
      ["targeting.targets[0].targeting_keys[1]"],
    ],
    [
      "a key in two targets",
      {
        targets: [
          { variant: "on", targetingKeys: ["u", "v"] },
          { variant: "off", targetingKeys: ["v"] },
        ],
      },
      ["targeting.targets[1].targeting_keys[0]"],
    ],
    [
      "257 targets",
      { targets: many(257).map((n) => ({ variant: "on", targetingKeys: [`u${n}`] })) },
      ["targeting.targets"],
    ],
    [
      "100,001 keys of a target",
      { targets: [{ variant: "on", targetingKeys: many(100_001).map(String) }] },
      ["targeting.targets[0].targeting_keys"],
    ],
    [
      "33 prerequisites, one of them twice and all but one missing",
      { prerequisites: many(33).map((n) => ({ flagKey: n < 2 ? "b" : `x${n}`, variants: ["on"] })) },
      ["targeting.prerequisites", ...many(31).map((n) => `targeting.prerequisites[${n + 2}].flag_key`)],
    ],
    [
      "prerequisites without what they need",
      { prerequisites: [{}, { flagKey: "b" }, { flagKey: "c", variants: ["on"] }] },
      [
        "targeting.prerequisites[0].flag_key",
        "targeting.prerequisites[0].variants",
        "targeting.prerequisites[1].variants",
        "targeting.prerequisites[2].flag_key",
      ],
    ],
    [
      "a prerequisite's variant that does not exist",
      { prerequisites: [{ flagKey: "b", variants: ["on", "x"] }] },
      ["targeting.prerequisites[0].variants[1]"],
    ],
    [
      "a flag that requires itself",
      { prerequisites: [{ flagKey: "a", variants: ["on"] }] },
      ["targeting.prerequisites"],
    ],
    [
      "segments that do not exist",
      { rules: [rule(not(inSegment("s")), "on")] },
      ["targeting.rules[0].condition.not.segment"],
    ],
  ])("are refused by the fields' names: %s", async (_what, targeting, fields) => {
    await server.admin.createFlag({ flag: booleanFlag("b") });
    await expectRefused(server, () => update(targeting), invalid(...fields));
  });

  it.each<[string, object, string]>([
    ["no shares", { shares: [] }, "shares"],
    ["weights that sum to 0", { shares: [{ variant: "on" }, { variant: "off" }] }, "shares"],
    [
      "weights that sum to 2^31",
      {
        shares: [
          { variant: "on", weight: 2 ** 30 },
          { variant: "off", weight: 2 ** 30 },
        ],
      },
      "shares",
    ],
    ["257 shares", { shares: many(257).map(() => ({ variant: "on", weight: 1 })) }, "shares"],
    ["a variant that does not exist", { shares: [{ variant: "x", weight: 1 }] }, "shares[0].variant"],
    ["the time as what is hashed", { shares: [{ variant: "on", weight: 1 }], bucketBy: "$now" }, "bucket_by"],
    ["an unknown algorithm", { shares: [{ variant: "on", weight: 1 }], algorithm: 7 }, "algorithm"],
  ])("are refused where they roll out %s", async (_what, value, field) => {
    const rollout = { kind: { case: "rollout" as const, value } };
    await expectRefused(server, () => update({ default: rollout }), invalid(`targeting.default.rollout.${field}`));
    const rules = [{ condition: everyone, serve: rollout }];
    await expectRefused(server, () => update({ rules }), invalid(`targeting.rules[0].serve.rollout.${field}`));
  });

  it.each<[string, ConditionInit, string[]]>([
    ["a bad regular expression", match("x", Operator.MATCHES, text("ok"), text("a(")), ["match.values[1]"]],
    ["a pattern of 1,025 characters", match("x", Operator.MATCHES, text("a".repeat(1_025))), ["match.values[0]"]],
    ["a bad version", match("x", Operator.SEMVER_LESS, text("1.2.3"), text("one")), ["match.values[1]"]],
    ["a bad block of addresses", match("x", Operator.IN_CIDR, text("10.0.0.0/33")), ["match.values[0]"]],
    ["a bad time", match("x", Operator.BEFORE, text("yesterday")), ["match.values[0]"]],
    ["a value of the wrong type", match("x", Operator.GREATER, text("1")), ["match.values[0]"]],
    ["no values", match("x", Operator.IN), ["match.values"]],
    ["values for an operator without", match("x", Operator.EXISTS, text("y")), ["match.values"]],
    ["no attribute", match("", Operator.EXISTS), ["match.attribute"]],
    ["an attribute of 257 characters", match("x".repeat(257), Operator.EXISTS), ["match.attribute"]],
    ["no operator", match("x", Operator.UNSPECIFIED, text("y")), ["match.operator"]],
    ["an unknown operator", match("x", 99 as Operator, text("y")), ["match.operator"]],
    ["100,001 values", match("x", Operator.IN, ...many(100_001).map((n) => text(String(n)))), ["match.values"]],
    [
      "a share beyond its total",
      { kind: { case: "rollout", value: { start: 6, weight: 5, totalWeight: 10 } } },
      ["rollout.weight"],
    ],
    ["4,097 nodes", { kind: { case: "any", value: { conditions: many(4_096).map(() => everyone) } } }, [""]],
  ])("are refused where a condition has %s", async (_what, condition, places) => {
    const fields = places.map((place) => `targeting.rules[0].condition${place === "" ? "" : `.${place}`}`);
    await expectRefused(server, () => update({ rules: [rule(condition, "on")] }), invalid(...fields));
  });

  it("are refused where conditions are nested more than 32 levels deep, or too deep to be read at all", async () => {
    const nested = (levels: number) => {
      let condition = everyone;
      for (let level = 1; level < levels; level++) condition = not(condition);
      return condition;
    };
    await update({ rules: [rule(nested(32), "on")] });
    const { code, fields } = await refusalOf(update({ rules: [rule(nested(33), "on")] }));
    expect([code, fields.length]).toEqual(["InvalidArgument", 1]);
    const tooDeep = await refusalOf(update({ rules: [rule(nested(500), "on")] }));
    expect(tooDeep).toMatchObject(refused("InvalidArgument", "MALFORMED_MESSAGE"));
  });

  it("are refused where flags come to require each other", async () => {
    for (const key of ["b", "c"]) await server.admin.createFlag({ flag: booleanFlag(key) });
    await update({ prerequisites: [{ flagKey: "b", variants: ["on"] }] });
    await server.admin.updateTargeting({
      targeting: { flagKey: "b", prerequisites: [{ flagKey: "c", variants: ["on"] }] },
    });
    const close = () =>
      server.admin.updateTargeting({
        targeting: { flagKey: "c", prerequisites: [{ flagKey: "a", variants: ["on"] }] },
      });
    await expectRefused(server, close, invalid("targeting.prerequisites"));
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const elsewhere = { flagKey: "c", prerequisites: [{ flagKey: "a", variants: ["on"] }] };
    await server.admin.updateTargeting({ environment: "staging", targeting: elsewhere });
  });

  it("name at most as many fields as a response has room for, and count the rest", async () => {
    const rules = many(256).map(() => rule(everyone, "none"));
    const { fields, error } = await refusalOf(update({ rules }));
    expect(fields.length).toBeGreaterThan(10);
    expect(error.rawMessage).toMatch(/more/);
  });
});

describe("the panic button", () => {
  const kill = (flagKeys: string[], reason = "incident 7") => server.admin.killFlags({ flagKeys, reason });

  it("makes flags answer their off variant, whatever else is set, in one revision", async () => {
    await server.admin.createFlag({ flag: booleanFlag("b") });
    await update({ enabled: true, offVariant: "off", targets: [{ variant: "on", targetingKeys: ["u"] }] });
    const before = await revisionOf(server);
    const killed = await server.admin.killFlags(
      { flagKeys: ["b", "a", "b"], reason: "incident 7" },
      { headers: { "flagwire-author": "ada" } },
    );
    expect(killed).toMatchObject({ flagKeys: ["a", "b"], revision: before + 1n });
    const context = { targetingKey: "u" };
    expect(await server.evaluation.evaluate({ flagKey: "a", context })).toMatchObject({
      variant: "off",
      reason: "KILLED",
    });
    const { targeting } = await server.admin.getTargeting({ flagKey: "a" });
    expect(targeting?.killed).toMatchObject({ killedBy: "ada", reason: "incident 7" });
    expect(targeting).toMatchObject({ enabled: true, targets: [{ targetingKeys: ["u"] }] });
  });

  it("works by tag, for flags named beside it too", async () => {
    await server.admin.createFlag({ flag: booleanFlag("b", { tags: ["payments"] }) });
    await server.admin.createFlag({ flag: booleanFlag("c", { tags: ["payments", "x"] }) });
    await server.admin.createFlag({ flag: booleanFlag("d", { tags: ["payment"] }) });
    const killed = await server.admin.killFlags({ tag: "payments", flagKeys: ["a"], reason: "r" });
    expect(killed.flagKeys).toEqual(["a", "b", "c"]);
    const revived = await server.admin.reviveFlags({ tag: "payments" });
    expect(revived).toMatchObject({ flagKeys: ["b", "c"], revision: killed.revision + 1n });
    const { targetings } = await server.admin.listFlags({});
    expect(targetings.filter(({ killed }) => killed).map(({ flagKey }) => flagKey)).toEqual(["a"]);
  });

  it("works in one environment only", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.killFlags({ environment: "staging", flagKeys: ["a"], reason: "r" });
    expect((await server.evaluation.evaluate({ environment: "staging", flagKey: "a" })).reason).toBe("KILLED");
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("DISABLED");
  });

  it("survives other edits, and reviving brings the latest settings back", async () => {
    await update({ enabled: true, offVariant: "off", default: serve("off") });
    await kill(["a"]);
    const { targeting } = await update({ enabled: true, offVariant: "off", default: serve("on"), rules: [] });
    expect(targeting?.killed?.reason).toBe("incident 7");
    await server.admin.updateFlag({ flag: booleanFlag("a", { description: "d" }) });
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("KILLED");
    await server.admin.reviveFlags({ flagKeys: ["a"] });
    expect(await server.evaluation.evaluate({ flagKey: "a" })).toMatchObject({ variant: "on", reason: "STATIC" });
  });

  it("keeps the first reason when it is pressed again, and makes no revision then", async () => {
    const { revision } = await kill(["a"]);
    const again = await kill(["a"], "another reason");
    expect(again).toMatchObject({ flagKeys: ["a"], revision });
    expect((await server.admin.getTargeting({ flagKey: "a" })).targeting?.killed?.reason).toBe("incident 7");
    const { revision: revived } = await server.admin.reviveFlags({ flagKeys: ["a"] });
    expect((await server.admin.reviveFlags({ flagKeys: ["a"] })).revision).toBe(revived);
  });

  it("survives a restart", async () => {
    await kill(["a"]);
    await server.restart();
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("KILLED");
  });

  it("needs a reason, flags that exist and an environment", async () => {
    const cases: [object, ReturnType<typeof invalid>][] = [
      [{ flagKeys: ["a"] }, invalid("reason")],
      [{ flagKeys: ["a"], reason: "r".repeat(1_025) }, invalid("reason")],
      [{ reason: "r" }, invalid("flag_keys")],
      [{ flagKeys: ["a", "b"], reason: "r" }, refused("NotFound", "FLAG_NOT_FOUND")],
      [{ flagKeys: ["a"], tag: "t", reason: "r" }, refused("NotFound", "TAG_NOT_FOUND")],
      [{ flagKeys: ["a"], environment: "x", reason: "r" }, refused("NotFound", "ENVIRONMENT_NOT_FOUND")],
    ];
    for (const [request, expected] of cases) {
      await expectRefused(server, () => server.admin.killFlags(request), expected);
    }
  });

  it("pressed again under the same idempotency key kills nothing that was revived since", async () => {
    const press = () => server.admin.killFlags({ flagKeys: ["a"], reason: "r", idempotencyKey: "k" });
    const { revision } = await press();
    await server.admin.reviveFlags({ flagKeys: ["a"] });
    expect(await press()).toMatchObject({ flagKeys: [], revision });
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("DISABLED");
  });

  it("can be tried", async () => {
    const tried = await server.admin.killFlags({ flagKeys: ["a"], reason: "r", dryRun: true });
    expect(tried).toMatchObject({ flagKeys: ["a"], revision: 0n });
    expect((await server.evaluation.evaluate({ flagKey: "a" })).reason).toBe("DISABLED");
  });
});
