import { clone, create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RuleSchema, ServeSchema, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { type CommitResult, openMemoryStore, type Store } from "../../src/store/index.js";
import { settle } from "../support/virtual-clock.js";
import { booleanFlag, everyone, rule, serve } from "./admin-support.js";
import {
  DAY,
  HOUR,
  JumpingClock,
  MINUTE,
  type RampServer,
  servedBy,
  serveStore,
  steps,
  stepsOf,
  targetingOf,
  told,
  withCommit,
} from "./ramps-support.js";

let store: Store;
let clock: JumpingClock;
let servers: RampServer[];

const open = async () => {
  const server = await serveStore(store, clock);
  servers.push(server);
  return server;
};
const stopAll = async () => {
  for (const server of servers.splice(0)) await server.stop();
};

beforeEach(async () => {
  store = await openMemoryStore();
  clock = new JumpingClock();
  servers = [];
});

afterEach(async () => {
  await stopAll();
  await store.close();
});

/** A flag `a` that is on and serves `off` by default, and a server for it. */
async function openWithFlag(): Promise<RampServer> {
  const server = await open();
  const targeting = { enabled: true, offVariant: "off", default: serve("off") };
  await server.admin.createFlag({ flag: booleanFlag("a"), targeting });
  return server;
}

const fourSteps = steps([1, DAY], [5, 2 * DAY], [25, 4 * DAY], [100]);

describe("a ramp", () => {
  it("serves each step for its time, as revisions by ramp, and ends as a plain variant", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps }, { headers: { "flagwire-author": "ann" } });
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await clock.advance(DAY - 1);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await clock.advance(1);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(2 * DAY - 1);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(1);
    expect(await servedBy(server)).toBe("25% on, 75% off");
    await clock.advance(4 * DAY);
    const targeting = await targetingOf(server);
    expect(targeting).toMatchObject({ default: serve("on"), ramps: [], changedBy: "ramp" });
    expect(await stepsOf(server)).toEqual([
      "step 2 of 4: 5% on; the ramp was started by ann",
      "step 3 of 4: 25% on; the ramp was started by ann",
      "step 4 of 4: 100% on; the ramp was started by ann",
    ]);
  });

  it("goes on where it was after a restart", async () => {
    await (await openWithFlag()).admin.startRamp({ flagKey: "a", steps: fourSteps });
    for (let part = 0; part < 4; part++) {
      await clock.advance(DAY / 4 - 1);
      await stopAll();
      await open();
    }
    const server = await open();
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await clock.advance(4);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("carries out one step after a downtime over several, and gives it its whole time", async () => {
    await (await openWithFlag()).admin.startRamp({ flagKey: "a", steps: fourSteps });
    await stopAll();
    await clock.advance(30 * DAY);
    const server = await open();
    await clock.advance(0);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(2 * DAY - 1);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(1);
    expect(await servedBy(server)).toBe("25% on, 75% off");
  });

  it.each([
    ["forward", 400 * DAY],
    ["back", -400 * DAY],
  ])("serves a step for its time although the clock is set %s", async (_way, jumpMs) => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(HOUR);
    clock.jump(jumpMs);
    await clock.advance(DAY - HOUR - 1);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await clock.advance(1);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(2 * DAY - 1);
    expect(await stepsOf(server)).toHaveLength(1);
  });

  it("is delayed by no more than a step's time where the clock was set back during a restart", async () => {
    await (await openWithFlag()).admin.startRamp({ flagKey: "a", steps: fourSteps });
    await stopAll();
    clock.jump(-400 * DAY);
    const server = await open();
    await clock.advance(DAY);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("is carried out once each step by servers that share a store and try it at the same time", async () => {
    clock = new JumpingClock(0);
    const server = await openWithFlag();
    await open();
    await open();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await settle(20);
    for (const [days, served] of [
      [1, "5% on, 95% off"],
      [2, "25% on, 75% off"],
      [4, "on"],
    ] as const) {
      await clock.advance(days * DAY - HOUR);
      await settle(20);
      await clock.advance(HOUR);
      await settle(20);
      expect(await servedBy(server)).toBe(served);
    }
    expect(await stepsOf(server)).toHaveLength(3);
  });

  it("of a rule and one of the default go on side by side", async () => {
    const server = await openWithFlag();
    await server.admin.updateTargeting({
      targeting: { flagKey: "a", rules: [rule(everyone, "off", "beta")] },
      updateMask: { paths: ["rules"] },
    });
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await server.admin.startRamp({ flagKey: "a", ruleId: "beta", steps: steps([50, DAY], [100]) });
    await clock.advance(DAY);
    const targeting = await targetingOf(server);
    expect(targeting.rules[0]?.serve).toMatchObject(serve("on"));
    expect(told(targeting.default)).toBe("5% on, 95% off");
    expect(targeting.ramps.map(({ ruleId }) => ruleId)).toEqual([""]);
  });

  it("ends where its last step says, below everyone too", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: steps([10, HOUR], [40]) });
    await clock.advance(HOUR);
    expect(await servedBy(server)).toBe("40% on, 60% off");
    expect((await targetingOf(server)).ramps).toEqual([]);
  });

  it("tries a step again, a minute later, that could not be written", async () => {
    let isFull = false;
    const lowDisk: CommitResult = { kind: "low-disk", freeBytes: 0, neededBytes: 1 };
    store = withCommit(store, (inner, transaction) => (isFull ? Promise.resolve(lowDisk) : inner.commit(transaction)));
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    isFull = true;
    await clock.advance(DAY + HOUR);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    isFull = false;
    await clock.advance(MINUTE);
    expect(await servedBy(server)).toBe("5% on, 95% off");
    await clock.advance(2 * DAY - MINUTE);
    expect(await stepsOf(server)).toHaveLength(1);
  });

  it("leaves no timer behind when the server stops", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(HOUR);
    expect(clock.pendingTimers).toBeGreaterThan(0);
    await stopAll();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a ramp that is paused", () => {
  it("stays where it is, and goes on with what was left", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(DAY - HOUR);
    const { targeting } = await server.admin.pauseRamp({ flagKey: "a" });
    expect(targeting?.ramps[0]?.nextStepAt).toBeUndefined();
    expect(targeting?.ramps[0]?.pausedWith?.seconds).toBe(3_600n);
    await clock.advance(30 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await server.admin.resumeRamp({ flagKey: "a" });
    await clock.advance(HOUR - 1);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await clock.advance(1);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("changes nothing when it is paused or resumed once more", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    const { revision: paused } = await server.admin.pauseRamp({ flagKey: "a" });
    expect((await server.admin.pauseRamp({ flagKey: "a" })).revision).toBe(paused);
    const { revision: resumed } = await server.admin.resumeRamp({ flagKey: "a" });
    expect((await server.admin.resumeRamp({ flagKey: "a" })).revision).toBe(resumed);
  });

  it("stays paused when its flag is killed and revived", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await server.admin.pauseRamp({ flagKey: "a" });
    await server.admin.killFlags({ flagKeys: ["a"], reason: "x" });
    await server.admin.reviveFlags({ flagKeys: ["a"] });
    await clock.advance(2 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
  });
});

describe("a flag that does not serve", () => {
  const kill = (server: RampServer) => server.admin.killFlags({ flagKeys: ["a"], reason: "x" });
  const revive = (server: RampServer) => server.admin.reviveFlags({ flagKeys: ["a"] });
  const turn = (enabled: boolean) => (server: RampServer) =>
    server.admin.updateTargeting({ targeting: { flagKey: "a", enabled }, updateMask: { paths: ["enabled"] } });

  it.each([
    ["killed", kill, revive],
    ["off", turn(false), turn(true)],
  ])("because it is %s holds its ramp, which goes on with what was left", async (_state, stop, start) => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(DAY - HOUR);
    await stop(server);
    await clock.advance(30 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await stopAll();
    const next = await open();
    await start(next);
    await clock.advance(HOUR - 1);
    expect(await servedBy(next)).toBe("1% on, 99% off");
    await clock.advance(1);
    expect(await servedBy(next)).toBe("5% on, 95% off");
  });

  it("lets a ramp be started, which waits", async () => {
    const server = await openWithFlag();
    await turn(false)(server);
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(30 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await turn(true)(server);
    await clock.advance(DAY);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("lets its ramp be resumed, which goes on when it serves", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await kill(server);
    await server.admin.pauseRamp({ flagKey: "a" });
    await server.admin.resumeRamp({ flagKey: "a" });
    await clock.advance(3 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
    await revive(server);
    await clock.advance(DAY);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("stays killed and enabled: one of the two does not let its ramp go on", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await kill(server);
    await turn(false)(server);
    await revive(server);
    await clock.advance(3 * DAY);
    expect(await servedBy(server)).toBe("1% on, 99% off");
  });
});

describe("an edit by hand", () => {
  it("of what a ramp serves ends the ramp", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    const { targeting } = await server.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
    });
    expect(targeting).toMatchObject({ default: serve("on"), ramps: [] });
    await clock.advance(2 * DAY);
    expect(await servedBy(server)).toBe("on");
  });

  it("of anything else leaves it as it is, whatever it says of ramps", async () => {
    const server = await openWithFlag();
    const { targeting: before } = await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    if (before === undefined) throw new Error("no targeting");
    const changed = clone(TargetingSchema, before);
    changed.ramps = [];
    changed.rules.push(create(RuleSchema, rule(everyone, "off", "beta")));
    const { targeting } = await server.admin.updateTargeting({ targeting: changed });
    expect(targeting?.ramps).toEqual(before?.ramps);
    await clock.advance(DAY);
    expect(await servedBy(server)).toBe("5% on, 95% off");
  });

  it("that deletes a rule ends its ramp", async () => {
    const server = await openWithFlag();
    const rules = [rule(everyone, "off", "beta")];
    await server.admin.updateTargeting({ targeting: { flagKey: "a", rules }, updateMask: { paths: ["rules"] } });
    await server.admin.startRamp({ flagKey: "a", ruleId: "beta", steps: fourSteps });
    await server.admin.updateTargeting({ targeting: { flagKey: "a" }, updateMask: { paths: ["rules"] } });
    expect((await targetingOf(server)).ramps).toEqual([]);
  });

  it("by an import keeps the ramp where the file serves the same, and ends it where it does not", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    const targeting = await targetingOf(server);
    const inFile = clone(TargetingSchema, targeting);
    inFile.ramps = [];
    async function* file() {
      yield { file: { targetings: [inFile] } };
    }
    expect(await server.admin.import(file())).toMatchObject({ unchangedFlags: ["a"], updatedFlags: [] });
    expect((await targetingOf(server)).ramps).toEqual(targeting.ramps);
    inFile.default = create(ServeSchema, serve("on"));
    await server.admin.import(file());
    expect((await targetingOf(server)).ramps).toEqual([]);
  });

  it("by a rollback ends the ramp where it changes what is served, and brings none back", async () => {
    const server = await openWithFlag();
    const { revision } = await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(DAY);
    await server.admin.rollback({ flagKey: "a", toRevision: revision });
    expect(await targetingOf(server)).toMatchObject({ ramps: [] });
    expect(await servedBy(server)).toBe("1% on, 99% off");
  });

  it("that creates a flag starts no ramp", async () => {
    const server = await openWithFlag();
    const { targeting } = await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await server.admin.createFlag({ flag: booleanFlag("b"), ...(targeting && { targeting }) });
    expect((await targetingOf(server, "b")).ramps).toEqual([]);
  });

  it("that deletes the flag leaves nothing to do", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await server.admin.deleteFlag({ key: "a" });
    await clock.advance(2 * DAY);
    expect(await stepsOf(server)).toEqual([]);
  });
});

describe("a ramp that is aborted", () => {
  it("serves what was served before", async () => {
    const server = await openWithFlag();
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    await clock.advance(DAY);
    const { targeting } = await server.admin.abortRamp({ flagKey: "a" });
    expect(targeting).toMatchObject({ default: serve("off"), ramps: [] });
    await clock.advance(30 * DAY);
    expect(await servedBy(server)).toBe("off");
  });

  it("can be started anew in the same moment, and takes all its steps", async () => {
    const server = await openWithFlag();
    for (let attempt = 0; attempt < 3; attempt++) {
      if (attempt > 0) await server.admin.abortRamp({ flagKey: "a" });
      await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    }
    await clock.advance(7 * DAY);
    expect(await servedBy(server)).toBe("on");
    expect(await stepsOf(server)).toHaveLength(3);
  });

  it("leaves no default where there was none", async () => {
    const server = await openWithFlag();
    await server.admin.updateTargeting({ targeting: { flagKey: "a" }, updateMask: { paths: ["default"] } });
    await server.admin.startRamp({ flagKey: "a", steps: fourSteps });
    expect((await server.admin.abortRamp({ flagKey: "a" })).targeting?.default).toBeUndefined();
  });
});

it("a ramp tells when its next step is due, and who started it", async () => {
  const server = await openWithFlag();
  const headers = { "flagwire-author": "ann" };
  const { targeting } = await server.admin.startRamp({ flagKey: "a", steps: fourSteps }, { headers });
  const [ramp] = targeting?.ramps ?? [];
  expect(ramp).toMatchObject({ variant: "on", fromVariant: "off", currentStep: 0, startedBy: "ann", ruleId: "" });
  expect(ramp?.nextStepAt && timestampMs(ramp.nextStepAt)).toBe(clock.now() + DAY);
  expect(ramp?.serveBefore).toMatchObject(serve("off"));
  await clock.advance(DAY + MINUTE);
  const next = (await targetingOf(server)).ramps[0];
  expect(next?.currentStep).toBe(1);
  expect(next?.nextStepAt && timestampMs(next.nextStepAt)).toBe(clock.now() - MINUTE + 2 * DAY);
});
