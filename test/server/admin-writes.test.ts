import { beforeEach, describe, expect, it } from "vitest";
import {
  boolean,
  booleanFlag,
  everyone,
  expectRefused,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
} from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const historyLength = async () => (await server.admin.listHistory({})).entries.length;
const conflict = refused("Aborted", "REVISION_CONFLICT", "expected_revision");
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("an expected revision", () => {
  it("that is stale refuses the write, whatever it is", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.createSegment({ segment: { key: "s" } });
    const { revision: expectedRevision } = await admin.createFlag({ flag: booleanFlag("a") });
    await admin.updateFlag({ flag: booleanFlag("a", { description: "d" }) });
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true } });
    await admin.updateSegment({ segment: { key: "s", included: ["u"] } });
    await admin.updateEnvironment({ environment: { name: "staging", description: "d" } });
    const writes = [
      () => admin.updateFlag({ flag: booleanFlag("a"), expectedRevision }),
      () => admin.deleteFlag({ key: "a", expectedRevision }),
      () => admin.updateTargeting({ targeting: { flagKey: "a" }, expectedRevision }),
      () => admin.killFlags({ flagKeys: ["a"], reason: "r", expectedRevision }),
      () => admin.updateSegment({ segment: { key: "s" }, expectedRevision }),
      () => admin.changeSegmentKeys({ key: "s", addIncluded: ["v"], expectedRevision }),
      () => admin.deleteSegment({ key: "s", expectedRevision }),
      () => admin.updateEnvironment({ environment: { name: "staging" }, expectedRevision }),
      () => admin.deleteEnvironment({ name: "staging", expectedRevision }),
      () => admin.updateFlag({ flag: booleanFlag("a"), expectedRevision, dryRun: true }),
    ];
    for (const write of writes) await expectRefused(server, write, conflict);
    const request = { file: { flags: [booleanFlag("a")] }, expectedRevision };
    const importing = () =>
      admin.import(
        (async function* () {
          yield request;
        })(),
      );
    await expectRefused(server, importing, conflict);
  });

  it("that is the one last read, or the newest, lets the write through", async () => {
    const { admin } = server;
    const { flag } = await admin.createFlag({ flag: booleanFlag("a") });
    await admin.createFlag({ flag: booleanFlag("b") });
    const description = (text: string, expectedRevision: bigint) =>
      admin.updateFlag({ flag: booleanFlag("a", { description: text }), expectedRevision });
    const { revision } = await description("one", flag?.revision ?? 0n);
    await admin.createFlag({ flag: booleanFlag("c") });
    await description("two", await revisionOf(server));
    await expectRefused(server, () => description("three", revision), conflict);
  });

  it("in the future is refused", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const head = await revisionOf(server);
    for (const expectedRevision of [head + 1n, 2n ** 64n - 1n]) {
      const write = () => server.admin.updateFlag({ flag: booleanFlag("a", { description: "d" }), expectedRevision });
      await expectRefused(server, write, conflict);
    }
  });

  it("of 0 is stale for whatever exists, and no hindrance to what does not", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), expectedRevision: 0n });
    const write = () => server.admin.updateFlag({ flag: booleanFlag("a", { owner: "o" }), expectedRevision: 0n });
    await expectRefused(server, write, conflict);
  });
});

describe("writes at the same time", () => {
  it("of one flag with one expected revision: exactly one wins", async () => {
    const { admin } = server;
    const { revision: expectedRevision } = await admin.createFlag({ flag: booleanFlag("a") });
    const results = await Promise.allSettled(
      range(32).map((n) => admin.updateFlag({ flag: booleanFlag("a", { description: `${n}` }), expectedRevision })),
    );
    const [winner, ...others] = results.filter(({ status }) => status === "fulfilled");
    expect(others).toEqual([]);
    expect(await revisionOf(server)).toBe(expectedRevision + 1n);
    expect(await historyLength()).toBe(3);
    const { flag } = await admin.getFlag({ key: "a" });
    expect(winner).toMatchObject({ value: { flag, revision: expectedRevision + 1n } });
    for (const result of results) {
      if (result.status === "rejected") expect(await refusalOf(Promise.reject(result.reason))).toMatchObject(conflict);
    }
  });

  it("of one flag's settings with one expected revision: exactly one wins", async () => {
    const { admin } = server;
    const { revision: expectedRevision } = await admin.createFlag({ flag: booleanFlag("a") });
    const results = await Promise.allSettled(
      range(32).map((n) =>
        admin.updateTargeting({
          targeting: { flagKey: "a", targets: [{ variant: "on", targetingKeys: [`${n}`] }] },
          expectedRevision,
        }),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await revisionOf(server)).toBe(expectedRevision + 1n);
  });

  it("of one flag without an expected revision: all succeed, one after the other", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    const masked = (n: number) =>
      n % 2 === 0
        ? admin.updateFlag({ flag: { key: "a", description: `${n}` }, updateMask: { paths: ["description"] } })
        : admin.updateTargeting({ targeting: { flagKey: "a", targets: [{ variant: "on", targetingKeys: [`${n}`] }] } });
    const answers = await Promise.all(range(32).map(masked));
    const revisions = answers.map(({ revision }) => revision).sort((a, b) => Number(a - b));
    expect(revisions).toEqual(range(32).map((n) => BigInt(n + 3)));
  });

  it("of different flags all succeed", async () => {
    const answers = await Promise.all(range(32).map((n) => server.admin.createFlag({ flag: booleanFlag(`f${n}`) })));
    expect(new Set(answers.map(({ revision }) => revision)).size).toBe(32);
    expect((await server.admin.listFlags({})).flags).toHaveLength(32);
  });

  it("that create one flag: exactly one does", async () => {
    const create = (n: number) => server.admin.createFlag({ flag: booleanFlag("a", { description: `${n}` }) });
    const results = await Promise.allSettled(range(16).map(create));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await revisionOf(server)).toBe(2n);
  });

  it("never make two flags require each other", async () => {
    const { admin } = server;
    for (const n of range(8)) {
      const [a, b] = [`a${n}`, `b${n}`];
      for (const key of [a, b]) await admin.createFlag({ flag: booleanFlag(key) });
      const require = (flagKey: string, other: string) =>
        admin.updateTargeting({ targeting: { flagKey, prerequisites: [{ flagKey: other, variants: ["on"] }] } });
      const results = await Promise.allSettled([require(a, b), require(b, a)]);
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    }
  });

  it("never remove what another one begins to use", async () => {
    const { admin } = server;
    for (const n of range(8)) {
      const key = `f${n}`;
      await admin.createFlag({ flag: booleanFlag(key), targeting: {} });
      await admin.createFlag({ flag: booleanFlag(`user${n}`) });
      await admin.createSegment({ segment: { key } });
      const uses = { flagKey: `user${n}`, prerequisites: [{ flagKey: key, variants: ["on"] }] };
      const inSegment = { id: "r", condition: { kind: { case: "segment" as const, value: key } }, serve: serve("on") };
      await Promise.allSettled([
        admin.updateTargeting({ targeting: { flagKey: key, offVariant: "off" } }),
        admin.updateFlag({ flag: booleanFlag(key, { variants: { on: boolean(true) } }) }),
        admin.updateTargeting({ targeting: { ...uses, rules: [inSegment] } }),
        admin.deleteSegment({ key }),
        admin.deleteFlag({ key }),
      ]);
    }
    for (const { flagKey, error } of (await server.evaluation.bulkEvaluate({})).evaluations) {
      expect([flagKey, error]).toEqual([flagKey, undefined]);
    }
    const deleted = new Set(
      (await admin.listHistory({ pageSize: 200 })).entries.flatMap(({ changes }) =>
        changes.flatMap(({ after, before }) =>
          after === undefined && before?.kind.case === "flag" ? [before.kind.value.key] : [],
        ),
      ),
    );
    for (const { prerequisites } of (await admin.listFlags({})).targetings) {
      for (const { flagKey } of prerequisites) expect(deleted).not.toContain(flagKey);
    }
  });

  it("of several flags, some of which need no change, take none as it was that another one changes first", async () => {
    const { admin } = server;
    for (const key of ["a", "b"]) await admin.createFlag({ flag: booleanFlag(key) });
    for (const _ of range(20)) {
      await admin.killFlags({ flagKeys: ["a"], reason: "r" });
      await admin.reviveFlags({ flagKeys: ["b"] });
      const reviving = admin.reviveFlags({ flagKeys: ["a"] });
      const [revived, killed] = await Promise.all([reviving, admin.killFlags({ flagKeys: ["a", "b"], reason: "r" })]);
      const { targeting } = await admin.getTargeting({ flagKey: "a" });
      expect(targeting?.killed !== undefined).toBe(killed.revision > revived.revision);
    }
  });

  it("that depend on everything get through although others never pause", async () => {
    const { admin } = server;
    for (const n of range(8)) await admin.createFlag({ flag: booleanFlag(`f${n}`) });
    let stop = false;
    const busy = range(8).map(async (n) => {
      for (let k = 0; !stop; k++)
        await admin.updateTargeting({ targeting: { flagKey: `f${n}`, enabled: k % 2 === 0 } });
    });
    for (const n of range(10)) await admin.updateFlag({ flag: booleanFlag("f0", { description: `${n}` }) });
    stop = true;
    await Promise.all(busy);
    expect((await admin.getFlag({ key: "f0" })).flag?.description).toBe("9");
  });
});

describe("an idempotency key", () => {
  const flag = booleanFlag("a");

  it("makes a repetition harmless: the same revision, no entry in history", async () => {
    const { admin } = server;
    const create = () => admin.createFlag({ flag, idempotencyKey: "k1" });
    const first = await create();
    await admin.updateFlag({ flag: booleanFlag("a", { description: "later" }) });
    const length = await historyLength();
    const again = await create();
    expect(again.revision).toBe(first.revision);
    expect(again.flag?.description).toBe("later");
    expect(await historyLength()).toBe(length);
  });

  it("holds across a restart", async () => {
    const create = () => server.admin.createFlag({ flag, idempotencyKey: "k1" });
    const first = await create();
    await server.restart();
    expect((await create()).revision).toBe(first.revision);
    expect(await historyLength()).toBe(2);
  });

  it("holds for every kind of write, even where what it changed is gone", async () => {
    const { admin } = server;
    const file = { flags: [booleanFlag("i")] };
    const importing = (idempotencyKey: string) =>
      admin.import(
        (async function* () {
          yield { file, idempotencyKey };
        })(),
      );
    const writes: (() => Promise<{ revision: bigint }>)[] = [
      () => admin.createFlag({ flag, idempotencyKey: "1" }),
      () => admin.updateFlag({ flag: booleanFlag("a", { description: "d" }), idempotencyKey: "2" }),
      () => admin.updateTargeting({ targeting: { flagKey: "a", enabled: true }, idempotencyKey: "3" }),
      () => admin.killFlags({ flagKeys: ["a"], reason: "r", idempotencyKey: "4" }),
      () => admin.reviveFlags({ flagKeys: ["a"], idempotencyKey: "5" }),
      () => admin.deleteFlag({ key: "a", idempotencyKey: "6" }),
      () => admin.createSegment({ segment: { key: "s" }, idempotencyKey: "7" }),
      () => admin.updateSegment({ segment: { key: "s", included: ["u"] }, idempotencyKey: "8" }),
      () => admin.changeSegmentKeys({ key: "s", addIncluded: ["v"], idempotencyKey: "14" }),
      () => admin.deleteSegment({ key: "s", idempotencyKey: "9" }),
      () => admin.createEnvironment({ environment: { name: "e" }, idempotencyKey: "10" }),
      () => admin.updateEnvironment({ environment: { name: "e", description: "d" }, idempotencyKey: "11" }),
      () => admin.deleteEnvironment({ name: "e", idempotencyKey: "12" }),
      () => importing("13"),
    ];
    const revisions: bigint[] = [];
    for (const write of writes) revisions.push((await write()).revision);
    expect(revisions).toEqual(range(writes.length).map((n) => BigInt(n + 2)));
    for (const [index, write] of writes.entries()) expect((await write()).revision).toBe(revisions[index]);
    expect(await historyLength()).toBe(writes.length + 1);
  });

  it("is refused for another content or another kind of write", async () => {
    const { admin } = server;
    await admin.createFlag({ flag, idempotencyKey: "k1" });
    const reused = refused("AlreadyExists", "IDEMPOTENCY_KEY_REUSED");
    const others = [
      () => admin.createFlag({ flag: booleanFlag("b"), idempotencyKey: "k1" }),
      () => admin.createFlag({ flag, idempotencyKey: "k1", comment: "other" }),
      () => admin.updateFlag({ flag, idempotencyKey: "k1" }),
    ];
    for (const write of others) await expectRefused(server, write, reused);
  });

  it("does not mind in which order a program writes the variants", async () => {
    const { admin } = server;
    const on = boolean(true);
    const off = boolean(false);
    const metadata = { x: 1, y: 2 };
    const create = (variants: Record<string, ReturnType<typeof boolean>>, metadata: object) =>
      admin.createFlag({ flag: booleanFlag("a", { variants, metadata: { ...metadata } }), idempotencyKey: "k1" });
    const first = await create({ on, off }, metadata);
    expect((await create({ off, on }, { y: 2, x: 1 })).revision).toBe(first.revision);
  });

  it("makes one revision of repetitions at the same time", async () => {
    const write = () =>
      server.admin.createFlag({ flag, idempotencyKey: "k1", targeting: { rules: [rule(everyone, "on")] } });
    const answers = await Promise.all(range(16).map(write));
    expect(new Set(answers.map(({ revision }) => revision))).toEqual(new Set([2n]));
    expect(await historyLength()).toBe(2);
  });

  it("is kept where a write changes nothing, which a later attempt then does not make up for", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a", { owner: "o" }) });
    const length = await historyLength();
    const write = () => server.admin.updateFlag({ flag: booleanFlag("a", { owner: "o" }), idempotencyKey: "k1" });
    const { revision } = await write();
    expect(revision).toBe(await revisionOf(server));
    await admin.updateFlag({ flag: booleanFlag("a", { owner: "somebody else" }) });
    const again = await write();
    expect(again.revision).toBe(revision);
    expect(again.flag?.owner).toBe("somebody else");
    await server.restart();
    expect((await write()).revision).toBe(revision);
    expect(await historyLength()).toBe(length + 1);
    const other = () => server.admin.updateFlag({ flag: booleanFlag("a", { owner: "p" }), idempotencyKey: "k1" });
    await expectRefused(server, other, refused("AlreadyExists", "IDEMPOTENCY_KEY_REUSED"));
  });

  it("is not kept by a dry run", async () => {
    const { admin } = server;
    await admin.createFlag({ flag });
    await admin.updateFlag({ flag, idempotencyKey: "k1", dryRun: true });
    const changed = booleanFlag("a", { owner: "o" });
    expect((await admin.updateFlag({ flag: changed, idempotencyKey: "k1" })).flag?.owner).toBe("o");
  });

  it("is not kept of having found nothing to change where another write changes it first", async () => {
    const { admin } = server;
    await admin.createFlag({ flag });
    for (const n of range(20)) {
      await admin.killFlags({ flagKeys: ["a"], reason: "r" });
      const write = () => admin.killFlags({ flagKeys: ["a"], reason: "r", idempotencyKey: `k${n}` });
      const [revived, answered] = await Promise.all([admin.reviveFlags({ flagKeys: ["a"] }), write()]);
      // Either before it, where there was nothing to change, or with a revision of its own.
      expect(answered.revision).not.toBe(revived.revision);
      expect((await write()).revision).toBe(answered.revision);
    }
  });

  it("of a write that was refused can be used again", async () => {
    const { admin } = server;
    await refusalOf(admin.createFlag({ flag: {}, idempotencyKey: "k1" }));
    await admin.createFlag({ flag, idempotencyKey: "k1" });
  });

  it("answers before an expected revision is looked at, so that a retry is not told of its own first attempt", async () => {
    const { admin } = server;
    const { revision: expectedRevision } = await admin.createFlag({ flag });
    const write = () =>
      admin.updateFlag({ flag: booleanFlag("a", { owner: "o" }), expectedRevision, idempotencyKey: "k2" });
    const { revision } = await write();
    expect((await write()).revision).toBe(revision);
  });
});
