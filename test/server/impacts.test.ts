import { setImmediate as nextTurn } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { type Impact, ImportRequestSchema, ImportResponseSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import type { Identity } from "../../src/server/access/identity.js";
import { putTargeting, remove } from "../../src/server/admin/records.js";
import { runAtOnce } from "../../src/server/admin/steps.js";
import { countMoves } from "../../src/server/impacts/count-moves.js";
import { type ImpactBounds, ImpactPreview } from "../../src/server/impacts/impact-preview.js";
import { isRefusal } from "../../src/server/refusal.js";
import { flagId } from "../../src/store/index.js";
import { booleanFlag, inSegment, match, rule, serve, stringFlag, text } from "./admin-support.js";
import { callOf, type OpenAdmin, openAdmin, users } from "./impacts-support.js";
import { anybody } from "./open-gate.js";

const shares = (weights: Readonly<Record<string, number>>) => ({
  kind: {
    case: "rollout" as const,
    value: { shares: Object.entries(weights).map(([variant, weight]) => ({ variant, weight })) },
  },
});

/** Creates a boolean flag that serves `off` to everyone. */
async function createSwitch({ admin }: OpenAdmin, key: string, environment = "production"): Promise<void> {
  await admin.createFlag({ flag: booleanFlag(key) });
  const targeting = { flagKey: key, enabled: true, offVariant: "off", default: serve("off") };
  await admin.updateTargeting({ environment, targeting });
}

const tryDefault = async ({ admin }: Pick<OpenAdmin, "admin">, flagKey: string, serving: ReturnType<typeof serve>) =>
  (
    await admin.updateTargeting({
      targeting: { flagKey, default: serving },
      updateMask: { paths: ["default"] },
      dryRun: true,
    })
  ).impacts;

const movesOf = (impact: Impact | undefined, flagKey: string) =>
  impact?.flags
    .find((flag) => flag.flagKey === flagKey)
    ?.moves.map(({ before, after, contexts }) => `${contexts} ${before} → ${after}`);

async function* one<T>(message: T): AsyncIterable<T> {
  yield message;
}

describe("a dry run of UpdateTargeting", () => {
  it("counts who would get another variant, with examples, and changes nothing", async () => {
    const opened = await openAdmin();
    await createSwitch(opened, "a");
    opened.contexts.put("production", [
      { targetingKey: "u1", plan: "pro", __proto__: null },
      { targetingKey: "u2", plan: "free" },
      { plan: "pro", device: { os: "x" } },
    ]);
    const { revision } = opened.head;
    const { impacts, targeting } = await opened.admin.updateTargeting({
      targeting: { flagKey: "a", rules: [rule(match("plan", Operator.IN, text("pro")), "on")] },
      updateMask: { paths: ["rules"] },
      dryRun: true,
    });
    expect(targeting?.rules).toHaveLength(1);
    expect(impacts).toHaveLength(1);
    expect(impacts[0]).toMatchObject({
      environment: "production",
      triedContexts: 3,
      changedContexts: 2,
      oldestTime: { seconds: 1n },
      omittedFlags: 0,
    });
    expect(impacts[0]?.flags).toHaveLength(1);
    expect(impacts[0]?.flags[0]).toMatchObject({
      flagKey: "a",
      changedContexts: 2,
      moves: [{ before: "off", after: "on", contexts: 2 }],
      examples: [
        { context: { targetingKey: "u1", attributes: { plan: "pro" } }, before: "off", after: "on" },
        { context: { targetingKey: "", attributes: { plan: "pro", device: { os: "x" } } }, before: "off", after: "on" },
      ],
    });
    expect(opened.head.revision).toBe(revision);
    expect((await opened.admin.getTargeting({ flagKey: "a" })).targeting?.rules).toEqual([]);
  });

  it("tells nothing of a write that is made, nor where nothing would change or no contexts are kept", async () => {
    const opened = await openAdmin();
    await createSwitch(opened, "a");
    expect(await tryDefault(opened, "a", serve("on"))).toEqual([]);
    opened.contexts.put("production", users(3));
    expect(await tryDefault(opened, "a", serve("off"))).toEqual([]);
    const made = await opened.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
    });
    expect(made.impacts).toEqual([]);
  });

  it("leaves contexts alone that were kept before that was switched off", async () => {
    const opened = await openAdmin();
    await opened.admin.createEnvironment({ environment: { name: "staging" } });
    await createSwitch(opened, "a", "staging");
    opened.contexts.put("staging", users(3));
    const { impacts } = await opened.admin.updateTargeting({
      environment: "staging",
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
      dryRun: true,
    });
    expect(impacts).toEqual([]);
  });

  it("finds nobody who would leave a variant whose share grows", async () => {
    const opened = await openAdmin();
    await createSwitch(opened, "a");
    const growing = (on: number) => shares({ on, off: 100_000 - on });
    await opened.admin.updateTargeting({
      targeting: { flagKey: "a", default: growing(10_000) },
      updateMask: { paths: ["default"] },
    });
    opened.contexts.put("production", users(500));
    const [impact] = await tryDefault(opened, "a", growing(30_000));
    expect(movesOf(impact, "a")).toEqual([`${impact?.changedContexts} off → on`]);
    expect(impact?.changedContexts).toBeGreaterThan(0);
  });

  it("finds the flags that require the one that is changed", async () => {
    const opened = await openAdmin();
    await createSwitch(opened, "base");
    await createSwitch(opened, "user");
    await opened.admin.updateTargeting({
      targeting: { flagKey: "user", default: serve("on"), prerequisites: [{ flagKey: "base", variants: ["on"] }] },
      updateMask: { paths: ["default", "prerequisites"] },
    });
    opened.contexts.put("production", users(4));
    const [impact] = await tryDefault(opened, "base", serve("on"));
    expect(impact?.changedContexts).toBe(4);
    expect(movesOf(impact, "base")).toEqual(["4 off → on"]);
    expect(movesOf(impact, "user")).toEqual(["4 off → on"]);
  });

  it("names the private attributes that answers depend on, also through prerequisites, and where nobody is found", async () => {
    const opened = await openAdmin({ privateAttributes: ["email", "targetingKey", "user.name", "unused"] });
    await createSwitch(opened, "base");
    await createSwitch(opened, "user");
    await opened.admin.updateTargeting({
      targeting: {
        flagKey: "base",
        rules: [
          rule(match("email", Operator.ENDS_WITH, text("@shop.test")), "on"),
          rule(match("user", Operator.EXISTS), "on"),
        ],
      },
      updateMask: { paths: ["rules"] },
    });
    await opened.admin.updateTargeting({
      targeting: { flagKey: "user", default: serve("on"), prerequisites: [{ flagKey: "base", variants: ["on"] }] },
      updateMask: { paths: ["default", "prerequisites"] },
    });
    opened.contexts.put("production", [{}, { plan: "pro" }]);
    const [impact] = await tryDefault(opened, "user", shares({ on: 1, off: 1 }));
    expect(impact).toMatchObject({ triedContexts: 2, changedContexts: 0 });
    expect(impact?.flags).toHaveLength(1);
    expect(impact?.flags[0]).toMatchObject({
      flagKey: "user",
      changedContexts: 0,
      privateAttributes: ["email", "targetingKey", "user.name"],
    });
  });

  it("names the private attributes of answers that would not depend on them any more", async () => {
    const opened = await openAdmin({ privateAttributes: ["email"] });
    await createSwitch(opened, "a");
    const setRules = (rules: ReturnType<typeof rule>[], dryRun: boolean) =>
      opened.admin.updateTargeting({
        targeting: { flagKey: "a", rules },
        updateMask: { paths: ["rules"] },
        dryRun,
      });
    await setRules([rule(match("email", Operator.EXISTS), "on")], false);
    opened.contexts.put("production", users(1));
    const [impact] = (await setRules([], true)).impacts;
    expect(impact?.flags).toMatchObject([{ flagKey: "a", changedContexts: 0, privateAttributes: ["email"] }]);
  });

  it("gives operators the counts without the contexts", async () => {
    const opened = await openAdmin();
    await createSwitch(opened, "a");
    await opened.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
    });
    opened.contexts.put("production", users(2));
    const switchOff = async (role: Role) => {
      const { impacts } = await opened.adminAs({ ...anybody, role }).updateTargeting({
        targeting: { flagKey: "a", enabled: false },
        updateMask: { paths: ["enabled"] },
        dryRun: true,
      });
      return impacts[0]?.flags[0];
    };
    expect(await switchOff(Role.OPERATOR)).toMatchObject({ changedContexts: 2, examples: [] });
    expect((await switchOff(Role.EDITOR))?.examples).toHaveLength(2);
  });
});

describe("a dry run of Import", () => {
  const file = (of: MessageInitShape<typeof FlagFileSchema>, { dryRun = false } = {}) =>
    one({ file: create(FlagFileSchema, of), dryRun });

  it("tells what would be changed field by field, and who would get another variant where", async () => {
    const opened = await openAdmin({ environments: ["production", "staging"] });
    const { admin, contexts } = opened;
    await createSwitch(opened, "a");
    await createSwitch(opened, "a2", "staging");
    await admin.createSegment({ segment: { key: "beta", included: ["u1"] } });
    await admin.updateTargeting({
      targeting: { flagKey: "a", rules: [rule(inSegment("beta"), "on")] },
      updateMask: { paths: ["rules"] },
    });
    for (const name of ["production", "staging"]) contexts.put(name, users(4));
    const { revision } = opened.head;
    const answer = await admin.import(
      file(
        {
          flags: [stringFlag("a2", ["off", "on"]), stringFlag("new", ["x"])],
          targetings: [{ flagKey: "new", enabled: true, offVariant: "x", default: serve("x") }],
          segments: [{ key: "beta", included: ["u1", "u2", "u3"] }],
          environments: [{ name: "later" }],
        },
        { dryRun: true },
      ),
    );
    expect(opened.head.revision).toBe(revision);
    expect(answer).toMatchObject({ revision: 0n, retypedFlags: ["a2"], omittedChanges: 0 });
    const told = answer.changes.map(({ key, environment, differences }) => [
      [key, environment].join("@"),
      ...differences.map(({ path }) => path),
    ]);
    expect(told).toContainEqual(["later@"]);
    expect(told).toContainEqual(["beta@production", "segment.included"]);
    expect(told).toContainEqual(["a2@", "flag.type", "flag.variants[on]", "flag.variants[off]"]);
    expect(answer.impacts.map(({ environment }) => environment)).toEqual(["production", "staging"]);
    const [production, staging] = answer.impacts;
    expect(production?.changedContexts).toBe(4);
    expect(movesOf(production, "a")).toEqual(["2 off → on"]);
    expect(movesOf(production, "new")).toEqual(["4  → x"]);
    expect(staging?.flags).toEqual([]);
  });

  it("says the same that an import then does, which tells nothing of it", async () => {
    const opened = await openAdmin();
    const content = { flags: [booleanFlag("a")] };
    const tried = await opened.admin.import(file(content, { dryRun: true }));
    expect(tried.changes).toHaveLength(2);
    const { revision, ...made } = await opened.admin.import(file(content));
    expect(made).toMatchObject({ changes: [], impacts: [], createdFlags: tried.createdFlags });
    const { entry } = await opened.admin.getHistoryEntry({ revision });
    expect(entry?.changes.map(({ key }) => key)).toEqual(tried.changes.map(({ key }) => key));
  });

  it("fits an answer: first examples are left out, then changes", async () => {
    const opened = await openAdmin();
    const long = "x".repeat(3_500);
    opened.contexts.put(
      "production",
      [0, 1, 2, 3, 4].map((n) => ({ targetingKey: `u${n}`, long })),
    );
    const keys = Array.from({ length: 150 }, (_, index) => `flag-${100 + index}`);
    const targetingKeys = Array.from({ length: 500 }, (_, index) => `${index}`.padStart(40, "k"));
    const targetings = keys.map((flagKey) => ({
      flagKey,
      enabled: true,
      offVariant: "off",
      targets: [{ variant: "off", targetingKeys }],
      default: serve("on"),
    }));
    const flags = keys.map((key) => booleanFlag(key));
    const answer = await opened.admin.import(file({ flags, targetings }, { dryRun: true }));
    expect(toBinary(ImportResponseSchema, create(ImportResponseSchema, answer)).length).toBeLessThan(3_200_000);
    const [impact] = answer.impacts;
    expect(impact?.flags).toHaveLength(100);
    expect(impact).toMatchObject({ omittedFlags: 50, changedContexts: 5 });
    const examples = impact?.flags.map((flag) => flag.examples.length) ?? [];
    expect(Math.max(...examples) - Math.min(...examples)).toBe(1);
    expect(answer.changes.length + answer.omittedChanges).toBe(300);
    expect(answer.omittedChanges).toBeGreaterThan(0);
  });

  it("lets others be answered while contexts are tried, and is given up when its caller has gone", async () => {
    let nowMs = 0;
    let pauses = 0;
    const stop = new AbortController();
    let stopAt = Number.POSITIVE_INFINITY;
    const turns = {
      clock: { monotonicMs: () => ++nowMs },
      turnMs: 10,
      next: async () => {
        if (++pauses >= stopAt) stop.abort();
        await nextTurn();
      },
    };
    const opened = await openAdmin({ turns });
    opened.contexts.put("production", users(1_000));
    const importing = (signal?: AbortSignal) =>
      opened.handlers.import(
        one(create(ImportRequestSchema, { file: { flags: [booleanFlag("a")] }, dryRun: true })),
        callOf(signal),
      );
    expect(await importing()).toMatchObject({ revision: 0n });
    // A turn is some 160 contexts long here.
    expect(pauses).toBeGreaterThan(5);
    stopAt = pauses + 4;
    expect(await importing(stop.signal)).toMatchObject({ code: "CANCELLED" });
    expect(pauses).toBe(stopAt);
  });
});

describe("a dry run of Rollback", () => {
  it("tells who would get another variant, of flags that go and come back too", async () => {
    const opened = await openAdmin();
    const { admin } = opened;
    await createSwitch(opened, "gone");
    const { revision } = opened.head;
    await admin.deleteFlag({ key: "gone" });
    await createSwitch(opened, "new");
    opened.contexts.put("production", users(3));
    const before = opened.head.revision;
    const { impacts, changes } = await admin.rollback({ toRevision: revision, dryRun: true });
    expect(impacts.map(({ changedContexts }) => changedContexts)).toEqual([3]);
    expect(movesOf(impacts[0], "gone")).toEqual(["3  → off"]);
    expect(movesOf(impacts[0], "new")).toEqual(["3 off → "]);
    expect(opened.head.revision).toBe(before);
    const made = await admin.rollback({ toRevision: revision });
    expect(made.impacts).toEqual([]);
    expect(made.changes.map(({ key }) => key)).toEqual(changes.map(({ key }) => key));
  });

  it("names the environments that it leaves as they are, and so does a rollback", async () => {
    const opened = await openAdmin();
    const { admin } = opened;
    await createSwitch(opened, "a");
    const { revision } = opened.head;
    for (const name of ["s2", "s1"]) await admin.createEnvironment({ environment: { name } });
    await admin.updateFlag({ flag: booleanFlag("a", { description: "later" }) });
    const tried = await admin.rollback({ toRevision: revision, dryRun: true });
    expect(tried.skippedEnvironments).toEqual(["s1", "s2"]);
    const scoped = await admin.rollback({ toRevision: revision, environment: "production", dryRun: true });
    expect(scoped.skippedEnvironments).toEqual([]);
    expect((await admin.rollback({ toRevision: revision })).skippedEnvironments).toEqual(["s1", "s2"]);
  });
});

it("a preview leaves out the environments that its caller may not see", async () => {
  const environments = ["production", "staging"];
  const opened = await openAdmin({ environments });
  await createSwitch(opened, "a");
  for (const name of environments) opened.contexts.put(name, users(1));
  const namesFor = async (identity: Identity) => {
    const preview = new ImpactPreview(opened, { ...callOf(), identity });
    runAtOnce(preview.compile([remove(flagId("a"))]));
    const impacts = await preview.impacts();
    return isRefusal(impacts) ? impacts : impacts.map(({ environment }) => environment);
  };
  expect(await namesFor(anybody)).toEqual(environments);
  expect(await namesFor({ ...anybody, environments: ["staging"] })).toEqual(["staging"]);
});

describe("the bounds of a preview", () => {
  const tryContexts = async (bounds: ImpactBounds, contexts: number) => {
    const opened = await openAdmin();
    for (const key of ["a", "b"]) await createSwitch(opened, key);
    opened.contexts.put("production", users(contexts));
    const preview = new ImpactPreview(opened, callOf(), bounds);
    const changes = ["a", "b"].flatMap((flagKey) => {
      const targeting = opened.head.catalog.targeting("production", flagKey);
      return targeting
        ? [putTargeting(create(TargetingSchema, { ...targeting, enabled: false, offVariant: "on" }))]
        : [];
    });
    runAtOnce(preview.compile(changes));
    const impacts = await preview.impacts();
    if (isRefusal(impacts)) throw new Error(impacts.message);
    return impacts[0];
  };

  it("are kept by trying fewer contexts, evenly spread over those that are kept", async () => {
    // Two flags, without and with the changes: four evaluations a context.
    const impact = await tryContexts({ maxEvaluations: 40, minContexts: 2 }, 100);
    expect(impact).toMatchObject({ triedContexts: 10, changedContexts: 10 });
    expect(impact?.flags[0]?.examples.map(({ context }) => context?.targetingKey)).toEqual([
      "u0",
      "u10",
      "u20",
      "u30",
      "u40",
    ]);
    // The oldest of those that were tried is the 91st of a hundred.
    expect(impact?.oldestTime?.seconds).toBe(10n);
  });

  it("let some contexts be tried whatever it takes, and all where they suffice", async () => {
    expect(await tryContexts({ maxEvaluations: 4, minContexts: 20 }, 100)).toMatchObject({ triedContexts: 20 });
    expect(await tryContexts({ maxEvaluations: 400, minContexts: 2 }, 100)).toMatchObject({ triedContexts: 100 });
    expect(await tryContexts({ maxEvaluations: 4, minContexts: 20 }, 7)).toMatchObject({ triedContexts: 7 });
  });
});

it("others are let on after any context: one may take as long as a call ever does", async () => {
  const opened = await openAdmin();
  await createSwitch(opened, "a");
  const before = opened.head.snapshot("production");
  if (before === undefined) throw new Error("there is an environment");
  let steps = 0;
  for (const _ of countMoves({ before, after: before, flagKeys: new Set(["a"]) }, users(20), 0)) steps++;
  expect(steps).toBe(20);
});
