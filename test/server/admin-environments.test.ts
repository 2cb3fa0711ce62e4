import { beforeEach, describe, expect, it } from "vitest";
import {
  booleanFlag,
  expectRefused,
  inSegment,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
} from "./admin-support.js";
import { openAdmin, users } from "./impacts-support.js";
import { anybody } from "./open-gate.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

describe("an environment", () => {
  it("named production exists from the first start, and only once", async () => {
    const { environments, revision } = await server.admin.listEnvironments({});
    expect(environments).toMatchObject([{ name: "production", createdBy: "flagwire", revision: 1n }]);
    expect(revision).toBe(1n);
    await server.restart();
    expect((await server.admin.listEnvironments({})).revision).toBe(1n);
  });

  it("starts with settings for every flag, as a new flag has them", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("on") } });
    await server.admin.createSegment({ segment: { key: "s" } });
    const created = await server.admin.createEnvironment(
      { environment: { name: "staging", description: "Before production." } },
      { headers: { "flagwire-author": "ada" } },
    );
    expect(created.environment).toMatchObject({ createdBy: "ada", revision: created.revision });
    const { targeting } = await server.admin.getTargeting({ environment: "staging", flagKey: "a" });
    expect(targeting).toMatchObject({ enabled: false, offVariant: "off", default: serve("on") });
    expect(targeting?.revision).toBe(created.revision);
    expect((await server.admin.listSegments({ environment: "staging" })).segments).toEqual([]);
    expect((await server.evaluation.evaluate({ environment: "staging", flagKey: "a" })).reason).toBe("DISABLED");
    const { environments } = await server.admin.listEnvironments({});
    expect(environments.map(({ name }) => name)).toEqual(["production", "staging"]);
  });

  it("can take over the settings and segments of another", async () => {
    await server.admin.createSegment({ segment: { key: "s", included: ["u"] } });
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const targeting = { flagKey: "a", enabled: true, rules: [rule(inSegment("s"), "on")], default: serve("off") };
    await server.admin.updateTargeting({ targeting });
    await server.admin.createEnvironment({ environment: { name: "copy" }, copyFrom: "production" });
    const inCopy = { environment: "copy", flagKey: "a", context: { targetingKey: "u" } };
    expect(await server.evaluation.evaluate(inCopy)).toMatchObject({ variant: "on", ruleId: "rule-1" });
    await server.admin.updateSegment({ environment: "copy", segment: { key: "s", included: [] } });
    expect((await server.evaluation.evaluate(inCopy)).variant).toBe("off");
    expect((await server.evaluation.evaluate({ ...inCopy, environment: "" })).variant).toBe("on");
  });

  it("can change its description only", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const { environment, revision } = await server.admin.updateEnvironment({
      environment: { name: "staging", description: "new", createdBy: "nobody" },
    });
    expect(environment).toMatchObject({ description: "new", createdBy: "anonymous", revision });
    const read = await server.admin.getEnvironment({ name: "staging" });
    expect(read.environment).toEqual(environment);
  });

  it("that is deleted takes its settings and segments along", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.createEnvironment({ environment: { name: "staging" }, copyFrom: "production" });
    await server.admin.createSegment({ environment: "staging", segment: { key: "s" } });
    await server.admin.deleteEnvironment({ name: "staging" });
    const gone = refused("NotFound", "ENVIRONMENT_NOT_FOUND");
    for (const call of [
      () => server.admin.getEnvironment({ name: "staging" }),
      () => server.admin.listFlags({ environment: "staging" }),
      () => server.admin.getSegment({ environment: "staging", key: "s" }),
      () => server.evaluation.evaluate({ environment: "staging", flagKey: "a" }),
      () => server.evaluation.bulkEvaluate({ environment: "staging" }),
    ]) {
      expect(await refusalOf(call())).toMatchObject(gone);
    }
    expect((await server.admin.getFlag({ key: "a" })).targetings).toHaveLength(1);
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    expect((await server.admin.listSegments({ environment: "staging" })).segments).toEqual([]);
  });

  it("named production cannot be deleted", async () => {
    const remove = () => server.admin.deleteEnvironment({ name: "production" });
    await expectRefused(server, remove, refused("FailedPrecondition", "ENVIRONMENT_REQUIRED"));
  });

  it("that exists cannot be created, and one that does not cannot be copied, changed or deleted", async () => {
    const { admin } = server;
    const exists = () => admin.createEnvironment({ environment: { name: "production" } });
    await expectRefused(server, exists, refused("AlreadyExists", "ENVIRONMENT_EXISTS"));
    const gone = refused("NotFound", "ENVIRONMENT_NOT_FOUND");
    await expectRefused(server, () => admin.createEnvironment({ environment: { name: "b" }, copyFrom: "x" }), gone);
    await expectRefused(server, () => admin.updateEnvironment({ environment: { name: "x" } }), gone);
    await expectRefused(server, () => admin.deleteEnvironment({ name: "x" }), gone);
  });

  it.each([
    ["without a name", {}, "environment.name"],
    ["with a slash in its name", { name: "eu/west" }, "environment.name"],
    ["with a name of 129 characters", { name: "e".repeat(129) }, "environment.name"],
    [
      "with a description of 4,097 characters",
      { name: "e", description: "d".repeat(4_097) },
      "environment.description",
    ],
  ])("%s is refused by the field's name", async (_what, environment, field) => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await expectRefused(server, () => server.admin.createEnvironment({ environment }), invalid(field));
  });

  it("may be named like a member of JavaScript's objects", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("on") } });
    await server.admin.createEnvironment({ environment: { name: "__proto__" }, copyFrom: "production" });
    expect((await server.evaluation.evaluate({ environment: "__proto__", flagKey: "a" })).variant).toBe("on");
  });

  it("beside production survives a restart with flags from before it", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.updateTargeting({ environment: "staging", targeting: { flagKey: "a", enabled: true } });
    await server.restart();
    expect((await server.evaluation.evaluate({ environment: "staging", flagKey: "a" })).reason).toBe("DEFAULT");
  });

  it("tells how many contexts are kept without asking for them, and asks nothing for whom it does not concern", async () => {
    const { contexts, admin, adminAs } = await openAdmin();
    contexts.put("production", users(3));
    contexts.list = () => Promise.reject(new Error("they are megabytes"));
    expect((await admin.getEnvironment({ name: "production" })).keptContexts).toBe(3);
    contexts.count = () => Promise.reject(new Error("it is not shown"));
    const stranger = adminAs({ ...anybody, environments: ["staging"] });
    const counts = { keptContexts: 0, flagCount: 0 };
    expect(await stranger.getEnvironment({ name: "production" })).toMatchObject(counts);
  });
});
