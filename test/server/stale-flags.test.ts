import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { FlagKind, FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { systemClock } from "../../src/base/index.js";
import { servedToAll } from "../../src/engine/index.js";
import { staleReasons } from "../../src/server/admin/staleness.js";
import {
  booleanFlag,
  everyone,
  inSegment,
  openServer,
  type RestartableServer,
  refusalOf,
  rule,
  serve,
} from "./admin-support.js";

type TargetingInit = Exclude<MessageInitShape<typeof TargetingSchema>, Targeting>;

const START_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
let nowMs = START_MS;
let server: RestartableServer;

beforeEach(async () => {
  nowMs = START_MS;
  server = await openServer({ clock: { ...systemClock, now: () => nowMs } });
});

const days = (count: number) => {
  nowMs = START_MS + count * DAY_MS;
};

function createFlag(key: string, kind: FlagKind, { enabled = true, expiresDay = 10_000 } = {}) {
  const expiresAt = timestampFromMs(START_MS + expiresDay * DAY_MS);
  const flag = booleanFlag(key, { kind, owner: "web", ticket: "WEB-1", expiresAt });
  return server.admin.createFlag({ flag, targeting: { enabled, offVariant: "off", default: serve("on") } });
}

/** The stale flags' reasons by key. */
async function reasons(request: object = {}): Promise<Record<string, string[]>> {
  const { flags } = await server.admin.listStaleFlags(request);
  return Object.fromEntries(flags.map((flag) => [flag.key, flag.reasons]));
}

let lastReport = 0;
function report(flagKey: string) {
  const counts = [{ flagKey, variant: "on", count: 1n, revision: 1n }];
  return server.evaluation.reportUsage({ clientName: "web", reportId: `r-${++lastReport}`, counts });
}

describe("a release flag that serves everyone the same", () => {
  it("is rolled out after 30 days, or as many as are asked for", async () => {
    await createFlag("done", FlagKind.RELEASE);
    days(29.9);
    expect(await reasons()).toEqual({});
    expect(await reasons({ rolledOutDays: 29 })).toEqual({ done: ["rolled-out"] });
    days(30);
    expect(await reasons()).toEqual({ done: ["rolled-out"] });
  });

  it("begins anew when its settings change, and not when it is described", async () => {
    await createFlag("done", FlagKind.RELEASE);
    days(20);
    await server.admin.updateFlag({ flag: { key: "done", description: "x" }, updateMask: { paths: ["description"] } });
    await createFlag("toggled", FlagKind.RELEASE, { enabled: false });
    await server.admin.updateTargeting({
      targeting: { flagKey: "toggled", enabled: true },
      updateMask: { paths: ["enabled"] },
    });
    days(40);
    expect(await reasons()).toEqual({ done: ["rolled-out"] });
  });

  it("is told with what somebody needs to clean it up", async () => {
    await createFlag("done", FlagKind.RELEASE);
    days(30);
    const { flags, revision } = await server.admin.listStaleFlags({});
    expect(flags).toMatchObject([
      { key: "done", kind: FlagKind.RELEASE, owner: "web", ticket: "WEB-1", servedVariant: "on" },
    ]);
    expect(flags[0]?.changedAt && timestampMs(flags[0].changedAt)).toBe(START_MS);
    expect(revision).toBeGreaterThan(0n);
  });

  it("counts in the environment that is asked for", async () => {
    await createFlag("done", FlagKind.RELEASE);
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    days(30);
    expect(await reasons({ environment: "staging" })).toEqual({});
    expect(await refusalOf(server.admin.listStaleFlags({ environment: "nope" }))).toMatchObject({
      reason: "ENVIRONMENT_NOT_FOUND",
    });
  });
});

describe("a flag whose expiry is over", () => {
  it("is expired, whatever its kind, from that moment on", async () => {
    await createFlag("release", FlagKind.RELEASE, { expiresDay: 3 });
    await createFlag("operational", FlagKind.OPERATIONAL, { expiresDay: 3 });
    days(2.9);
    expect(await reasons()).toEqual({});
    days(3);
    expect(await reasons()).toEqual({ operational: ["expired"], release: ["expired"] });
  });
});

describe("a flag that nobody touches", () => {
  it("is not-changed after 90 days without a change of it or of its settings", async () => {
    for (const key of ["left", "described", "switched"]) await createFlag(key, FlagKind.EXPERIMENT);
    days(50);
    await server.admin.updateFlag({
      flag: { key: "described", description: "x" },
      updateMask: { paths: ["description"] },
    });
    await server.admin.updateTargeting({ targeting: { flagKey: "switched" }, updateMask: { paths: ["enabled"] } });
    days(90);
    expect(await reasons()).toEqual({ left: ["not-changed"] });
    expect(Object.keys(await reasons({ idleDays: 40 }))).toEqual(["described", "left", "switched"]);
  });

  it("is left alone where it is there to stay", async () => {
    await createFlag("operational", FlagKind.OPERATIONAL);
    await createFlag("permission", FlagKind.PERMISSION);
    await report("operational");
    days(500);
    expect(await reasons()).toEqual({});
  });
});

describe("a flag that nobody asks for", () => {
  it("is not-evaluated after 90 days, and its last evaluation is told", async () => {
    for (const key of ["asked", "before", "never"]) await createFlag(key, FlagKind.EXPERIMENT);
    await report("before");
    days(60);
    await report("asked");
    days(90);
    const notEvaluated = ["not-evaluated", "not-changed"];
    expect(await reasons()).toEqual({ asked: ["not-changed"], before: notEvaluated, never: notEvaluated });
    const { flags } = await server.admin.listStaleFlags({});
    const last = flags.map(({ lastUsedTime }) => lastUsedTime && (timestampMs(lastUsedTime) - START_MS) / DAY_MS);
    expect(last).toEqual([60, 0, undefined]);
  });

  it("is not called so while it or its environment is younger", async () => {
    await createFlag("old", FlagKind.EXPERIMENT);
    await report("old");
    days(50);
    await createFlag("young", FlagKind.EXPERIMENT);
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    days(90);
    expect(await reasons()).toEqual({ old: ["not-evaluated", "not-changed"] });
    await server.evaluation.reportUsage({ environment: "staging", reportId: "s", clientName: "web" });
    expect(await reasons({ environment: "staging" })).toEqual({});
  });

  it("is not called so before usage has been counted for as long", () => {
    const flag = create(FlagSchema, { kind: FlagKind.EXPERIMENT, createdAt: timestampFromMs(0) });
    const after = { rolledOutMs: 30 * DAY_MS, idleMs: 90 * DAY_MS };
    const facts = { flag, targeting: undefined, environmentSinceMs: 0, lastUsedMs: undefined, usageSinceMs: DAY_MS };
    expect(staleReasons(facts, after, 91 * DAY_MS - 1)).toEqual([]);
    expect(staleReasons(facts, after, 91 * DAY_MS)).toEqual(["not-evaluated"]);
  });

  it("is not called so where nobody reports at all", async () => {
    await createFlag("old", FlagKind.EXPERIMENT);
    days(200);
    expect(await reasons()).toEqual({ old: ["not-changed"] });
  });
});

describe("so many stale flags that no message holds them", () => {
  async function* largeFlags(prefix: string) {
    const expiresAt = timestampFromMs(nowMs + 10_000 * DAY_MS);
    const large = { kind: FlagKind.EXPERIMENT, owner: "o".repeat(250), ticket: "t".repeat(1_000), expiresAt };
    for (let part = 0; part < 4; part++) {
      yield {
        file: { flags: Array.from({ length: 500 }, (_, index) => booleanFlag(`${prefix}-${part}-${index}`, large)) },
      };
    }
  }

  it("are refused, and answered where longer terms leave fewer", async () => {
    await server.admin.import(largeFlags("old"));
    days(90);
    expect((await server.admin.listStaleFlags({})).flags).toHaveLength(2_000);
    await server.admin.import(largeFlags("later"));
    days(180);
    expect(await refusalOf(server.admin.listStaleFlags({}))).toMatchObject({
      code: "ResourceExhausted",
      reason: "RESPONSE_TOO_LARGE",
    });
    expect((await server.admin.listStaleFlags({ idleDays: 100 })).flags).toHaveLength(2_000);
  });
});

describe("everyone gets the same", () => {
  const rollout = (weights: Record<string, number>) => {
    const shares = Object.entries(weights).map(([variant, weight]) => ({ variant, weight }));
    return { kind: { case: "rollout" as const, value: { shares } } };
  };
  const targeting = (init: TargetingInit) =>
    servedToAll(create(TargetingSchema, { enabled: true, default: serve("on"), ...init }));

  it.each<[string, TargetingInit]>([
    ["one variant is the default", {}],
    ["a rollout gives it to all", { default: rollout({ on: 100_000, off: 0 }) }],
    [
      "rules and targets serve it too",
      { rules: [rule(inSegment("a"), "on")], targets: [{ variant: "on", targetingKeys: ["a"] }] },
    ],
    ["a rule for all hides another default", { rules: [rule(everyone, "on")], default: serve("off") }],
    [
      "a prerequisite that fails answers it too",
      { offVariant: "on", prerequisites: [{ flagKey: "a", variants: ["on"] }] },
    ],
  ])("where %s", (_, init) => {
    expect(targeting(init)).toBe("on");
  });

  it.each<[string, TargetingInit]>([
    ["is off", { enabled: false }],
    ["is killed", { killed: { reason: "x" } }],
    ["is growing", { ramps: [{ variant: "on" }] }],
    ["serves several by a rollout", { default: rollout({ on: 99_999, off: 1 }) }],
    ["serves something else by a rule", { rules: [rule(inSegment("a"), "off")] }],
    ["serves something else to somebody", { targets: [{ variant: "off", targetingKeys: ["a"] }] }],
    ["may fail by a prerequisite", { offVariant: "off", prerequisites: [{ flagKey: "a", variants: ["on"] }] }],
    ["leaves a rule to the caller's default", { rules: [{ condition: inSegment("a"), serve: {} }] }],
  ])("not where a flag %s", (_, init) => {
    expect(targeting(init)).toBeUndefined();
  });

  it("not where the caller's own default is served", () => {
    expect(servedToAll(create(TargetingSchema, { enabled: true }))).toBeUndefined();
    expect(servedToAll(undefined)).toBeUndefined();
  });
});
