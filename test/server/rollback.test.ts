import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import {
  booleanFlag,
  expectRefused,
  inSegment,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
  stringFlag,
} from "./admin-support.js";
import { clientsOf, clientsWith, openForgetfulServer } from "./past-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const targetingOf = async (flagKey: string, environment = "production") =>
  (await server.admin.getTargeting({ flagKey, environment })).targeting;
const entry = async (revision: bigint) => (await server.admin.getHistoryEntry({ revision })).entry;
const enable = (flagKey: string, environment = "production", enabled = true) =>
  server.admin.updateTargeting({
    environment,
    targeting: { flagKey, enabled },
    updateMask: { paths: ["enabled"] },
  });

describe("a rollback", () => {
  it("makes flags, settings and segments as they were, in one revision with its own entry", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("kept", { description: "old" }) }); // 2
    await admin.createSegment({ segment: { key: "s", included: ["u1"] } }); // 3
    await admin.createFlag({ flag: booleanFlag("deleted") }); // 4
    await admin.updateFlag({ flag: booleanFlag("kept", { description: "new" }) });
    await admin.updateSegment({ segment: { key: "s", included: ["u2"] } });
    await enable("kept");
    await admin.deleteFlag({ key: "deleted" });
    await admin.createFlag({ flag: booleanFlag("created") }); // 9
    const answer = await admin.rollback({ toRevision: 4n });
    expect(answer.revision).toBe(10n);
    expect((await admin.getFlag({ key: "kept" })).flag?.description).toBe("old");
    expect((await admin.getSegment({ key: "s" })).segment?.included).toEqual(["u1"]);
    expect((await targetingOf("kept"))?.enabled).toBe(false);
    expect((await admin.getFlag({ key: "deleted" })).targetings).toHaveLength(1);
    expect(await refusalOf(admin.getFlag({ key: "created" }))).toMatchObject({ reason: "FLAG_NOT_FOUND" });
    const made = await entry(10n);
    expect(made).toMatchObject({ author: "anonymous", comment: "rollback to 4" });
    expect(answer.changes).toEqual(made?.changes);
    expect(answer.changes.flatMap(({ differences }) => differences.map(({ path }) => path)).sort()).toEqual([
      "flag.description",
      "segment.included",
      "targeting.enabled",
    ]);
  });

  it("is undone by a rollback of itself", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await enable("a"); // 3
    await admin.rollback({ toRevision: 2n, comment: "too early" }); // 4
    expect((await targetingOf("a"))?.enabled).toBe(false);
    expect((await entry(4n))?.comment).toBe("too early");
    await admin.rollback({ toRevision: 3n });
    expect((await targetingOf("a"))?.enabled).toBe(true);
  });

  it("of one flag leaves the others, of one environment leaves the flags", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    for (const key of ["a", "b"]) await admin.createFlag({ flag: booleanFlag(key) });
    for (const key of ["a", "b"]) for (const name of ["production", "staging"]) await enable(key, name);
    await admin.updateFlag({ flag: booleanFlag("a", { description: "new" }) });
    const enabled = async () =>
      (await Promise.all(["a", "b"].flatMap((key) => [targetingOf(key), targetingOf(key, "staging")]))).map(
        (targeting) => targeting?.enabled,
      );
    await admin.rollback({ toRevision: 4n, flagKey: "b", environment: "staging" });
    expect(await enabled()).toEqual([true, true, true, false]);
    await admin.rollback({ toRevision: 4n, environment: "production" });
    expect(await enabled()).toEqual([false, true, false, false]);
    expect((await admin.getFlag({ key: "a" })).flag?.description).toBe("new");
    await admin.rollback({ toRevision: 4n, flagKey: "a" });
    expect(await enabled()).toEqual([false, false, false, false]);
    expect((await admin.getFlag({ key: "a" })).flag?.description).toBe("");
  });

  it("neither kills nor revives, not even a flag that was deleted meanwhile", async () => {
    const { admin } = server;
    for (const key of ["a", "b", "c"]) await admin.createFlag({ flag: booleanFlag(key) });
    await admin.killFlags({ flagKeys: ["c"], reason: "then" }); // 5
    await enable("a");
    await admin.killFlags({ flagKeys: ["a", "b"], reason: "now" });
    await admin.reviveFlags({ flagKeys: ["c"] });
    await admin.deleteFlag({ key: "b" });
    await admin.rollback({ toRevision: 5n });
    expect(await targetingOf("a")).toMatchObject({ enabled: false, killed: { reason: "now" } });
    expect((await targetingOf("b"))?.killed?.reason).toBe("now");
    expect((await targetingOf("c"))?.killed).toBeUndefined();
  });

  it("brings a deleted flag back killed also in an environment that was not there then", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await admin.createEnvironment({ environment: { name: "young" } });
    await admin.killFlags({ environment: "young", flagKeys: ["a"], reason: "now" });
    await admin.deleteFlag({ key: "a" });
    await admin.rollback({ toRevision: 2n });
    expect((await targetingOf("a", "young"))?.killed?.reason).toBe("now");
    expect((await targetingOf("a"))?.killed).toBeUndefined();
  });

  it("keeps the keys of flags reserved that it takes away, and frees those that it brings back", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("old") }); // 2
    await admin.deleteFlag({ key: "old" });
    await admin.createFlag({ flag: booleanFlag("new") });
    const { changes } = await admin.rollback({ toRevision: 2n });
    const kept = changes.map(({ key, before, after }) => [key, before?.kind.case, after?.kind.case]);
    expect(kept).toContainEqual(["old", "reservedKey", undefined]);
    expect(kept).toContainEqual(["new", undefined, "reservedKey"]);
    expect(await refusalOf(admin.createFlag({ flag: booleanFlag("new") }))).toMatchObject({ reason: "KEY_RESERVED" });
    await admin.rollback({ toRevision: 4n });
    expect(await refusalOf(admin.createFlag({ flag: booleanFlag("old") }))).toMatchObject({ reason: "KEY_RESERVED" });
    expect((await admin.getFlag({ key: "new" })).flag?.key).toBe("new");
  });

  it("leaves environments as they are: what was in those that are gone stays away, and is named", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "gone" } });
    await admin.createFlag({ flag: booleanFlag("a") }); // 3
    await enable("a");
    await admin.deleteEnvironment({ name: "gone" });
    await admin.createEnvironment({ environment: { name: "young" }, copyFrom: "production" });
    await admin.deleteFlag({ key: "a" });
    const { revision, changes } = await admin.rollback({ toRevision: 3n });
    expect((await entry(revision))?.comment).toBe("rollback to 3, without the deleted environments gone");
    expect(changes.map(({ environment }) => environment)).not.toContain("gone");
    const { targetings } = await admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment, enabled }) => [environment, enabled])).toEqual([
      ["production", false],
      ["young", false],
    ]);
  });

  it("does not touch settings in an environment that was not there then", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await admin.createEnvironment({ environment: { name: "young" } });
    await enable("a", "young");
    await enable("a");
    await admin.rollback({ toRevision: 2n });
    expect((await targetingOf("a", "young"))?.enabled).toBe(true);
    expect(await refusalOf(admin.rollback({ toRevision: 2n, environment: "young" }))).toMatchObject(
      refused("NotFound", "ENVIRONMENT_NOT_FOUND"),
    );
  });

  it("of one environment turns off what was created since", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("on") } });
    await server.admin.rollback({ toRevision: 1n, environment: "production" });
    expect((await targetingOf("a"))?.enabled).toBe(false);
  });

  it("that would break what stays as it is is refused by field", async () => {
    const { admin } = server;
    await admin.createSegment({ segment: { key: "s" } });
    await admin.createFlag({ flag: stringFlag("a", ["x"]), targeting: { rules: [rule(inSegment("s"), "x", "r")] } }); // 3
    await admin.updateTargeting({ targeting: { flagKey: "a" } });
    await admin.deleteSegment({ key: "s" });
    const error = await expectRefused(
      server,
      () => admin.rollback({ toRevision: 3n, flagKey: "a" }),
      refused("FailedPrecondition", "ROLLBACK_REFUSED", 'flags["a"].targeting.rules[0].condition.segment'),
    );
    expect(error.rawMessage).toContain("flag a");
    await admin.rollback({ toRevision: 3n });
    expect((await targetingOf("a"))?.rules).toHaveLength(1);
  });

  it("tried only tells what would change", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await enable("a"); // 3
    const tried = await admin.rollback({ toRevision: 2n, dryRun: true });
    expect(tried.revision).toBe(0n);
    expect(tried.changes).toMatchObject([
      {
        key: "a",
        environment: "production",
        differences: [{ path: "targeting.enabled", before: "true", after: "false" }],
      },
    ]);
    expect(await revisionOf(server)).toBe(3n);
  });

  it("that changes nothing makes no revision", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    expect(await server.admin.rollback({ toRevision: 2n })).toMatchObject({ revision: 2n, changes: [] });
  });

  it("is made once under its idempotency key, and tells what it changed each time", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await enable("a");
    const request = { toRevision: 2n, idempotencyKey: "k" };
    const first = await admin.rollback(request);
    await enable("a");
    expect(await admin.rollback(request)).toEqual(first);
    expect((await targetingOf("a"))?.enabled).toBe(true);
  });

  it("that changed nothing says so again, whoever has made the revision that it was answered with", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await enable("a");
    await admin.rollback({ toRevision: 2n }); // 4
    const nothing = { toRevision: 4n, idempotencyKey: "k", comment: "rollback to 2" };
    expect(await admin.rollback(nothing)).toMatchObject({ revision: 4n, changes: [] });
    await enable("a");
    expect(await admin.rollback(nothing)).toMatchObject({ revision: 4n, changes: [] });
  });

  it("is not refused when it is repeated because history has been dropped since", async () => {
    const { admin } = await openForgetfulServer(3);
    for (const key of ["a", "b", "c", "d"]) await admin.createFlag({ flag: booleanFlag(key) }); // 2 to 5
    const request = { toRevision: 2n, idempotencyKey: "k" };
    const first = await admin.rollback(request);
    expect(await admin.rollback(request)).toEqual(first);
    expect(await refusalOf(admin.rollback({ ...request, flagKey: "a" }))).toMatchObject({
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  it("honours the revision that was expected", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await enable("a");
    expect(await refusalOf(server.admin.rollback({ toRevision: 2n, expectedRevision: 2n }))).toMatchObject({
      reason: "REVISION_CONFLICT",
    });
  });

  it("to nowhere is refused precisely", async () => {
    const { admin } = server;
    expect(await refusalOf(admin.rollback({}))).toMatchObject(invalid("to_revision"));
    expect(await refusalOf(admin.rollback({ toRevision: 9n }))).toMatchObject(
      refused("NotFound", "REVISION_NOT_FOUND", "to_revision"),
    );
    expect(await refusalOf(admin.rollback({ toRevision: 1n, flagKey: "none" }))).toMatchObject({
      reason: "FLAG_NOT_FOUND",
    });
    expect(await refusalOf(admin.rollback({ toRevision: 1n, environment: "none" }))).toMatchObject({
      reason: "ENVIRONMENT_NOT_FOUND",
    });
  });

  it("reaches as far as history is kept", async () => {
    const { admin } = await openForgetfulServer(3);
    for (const key of ["a", "b", "c", "d"]) await admin.createFlag({ flag: booleanFlag(key) }); // 2 to 5
    expect(await refusalOf(admin.rollback({ toRevision: 1n }))).toMatchObject(
      refused("FailedPrecondition", "HISTORY_COMPACTED", "to_revision"),
    );
    await admin.rollback({ toRevision: 2n });
    expect((await admin.listFlags({})).flags.map(({ key }) => key)).toEqual(["a"]);
  });

  it("of much comes to its end while others write", async () => {
    const { admin } = server;
    const write = (description: string) =>
      admin.import(
        (async function* () {
          const flags = Array.from({ length: 2_000 }, (_, index) => stringFlag(`f${index}`, ["x"], { description }));
          yield { file: { flags } };
        })(),
      );
    await write("old"); // 2
    await write("new");
    const done = new AbortController();
    const writing = (async () => {
      for (let turn = 0; !done.signal.aborted; turn++) await enable("f0", "production", turn % 2 === 0);
    })();
    const answer = await admin.rollback({ toRevision: 2n }).finally(() => done.abort());
    await writing;
    expect(answer.changes.length + answer.omittedChanges).toBeGreaterThanOrEqual(2_000);
    expect((await admin.getFlag({ key: "f1999" })).flag?.description).toBe("old");
  });

  it("needs an editor, and rights everywhere unless an environment is named", async () => {
    const { admin, address } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await enable("a");
    const { bearer } = await admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const root = clientsOf(address, bearer);
    const operator = await clientsWith(root, Role.OPERATOR);
    expect(await refusalOf(operator.admin.rollback({ toRevision: 2n }))).toMatchObject({ reason: "ROLE_INSUFFICIENT" });
    const limited = await clientsWith(root, Role.EDITOR, ["production"]);
    for (const request of [{}, { flagKey: "a" }, { environment: "staging" }]) {
      expect(await refusalOf(limited.admin.rollback({ toRevision: 2n, ...request }))).toMatchObject({
        reason: "ENVIRONMENT_NOT_PERMITTED",
      });
    }
    await limited.admin.rollback({ toRevision: 2n, environment: "production" });
    expect((await root.admin.getTargeting({ flagKey: "a" })).targeting?.enabled).toBe(false);
  });
});
