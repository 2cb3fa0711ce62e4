import { toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { GetHistoryEntryResponseSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  booleanFlag,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  stringFlag,
  text,
} from "./admin-support.js";
import { clientsOf, clientsWith, openForgetfulServer } from "./past-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

describe("an entry of history", () => {
  it("is one transaction, with what is different in it", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await admin.updateFlag({ flag: booleanFlag("a", { description: "new" }), comment: "clearer" });
    await admin.createFlag({ flag: booleanFlag("b") });
    const { entry, revision } = await admin.getHistoryEntry({ revision: 3n });
    expect(revision).toBe(4n);
    expect(entry).toMatchObject({ revision: 3n, author: "anonymous", comment: "clearer", omittedChanges: 0 });
    expect(entry?.changes).toMatchObject([
      {
        key: "a",
        before: { kind: { value: { description: "" } } },
        after: { kind: { value: { description: "new" } } },
        differences: [{ path: "flag.description", before: '""', after: '"new"' }],
      },
    ]);
  });

  it("is what the list of history tells of it", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true }, updateMask: { paths: ["enabled"] } });
    const { entries } = await admin.listHistory({});
    for (const listed of entries) {
      expect((await admin.getHistoryEntry({ revision: listed.revision })).entry).toEqual(listed);
    }
    expect(entries[0]?.changes[0]?.differences).toMatchObject([
      { path: "targeting.enabled", before: "false", after: "true" },
    ]);
  });

  it("shows what fits 3 MiB, and counts the rest", async () => {
    const variants = { v: text("x".repeat(400_000)) };
    const flags = Array.from({ length: 10 }, (_, index) => stringFlag(`flag-${index}`, [], { variants }));
    await server.admin.import(
      (async function* () {
        for (const flag of flags) yield { file: { flags: [flag] } };
      })(),
    );
    const answer = await server.admin.getHistoryEntry({ revision: 2n });
    const size = toBinary(GetHistoryEntryResponseSchema, answer).length;
    expect(size).toBeLessThan(3.1 * 2 ** 20);
    expect(size).toBeGreaterThan(2.5 * 2 ** 20);
    expect((answer.entry?.changes.length ?? 0) + (answer.entry?.omittedChanges ?? 0)).toBe(20);
  });

  it("shows segments with many keys without them, and how many came and went", async () => {
    const keys = Array.from({ length: 100_000 }, (_, index) => `user-${index}`);
    await server.admin.createSegment({ segment: { key: "s", included: keys } });
    await server.admin.updateSegment({ segment: { key: "s", included: [...keys.slice(3), "new"] } });
    const { entry } = await server.admin.getHistoryEntry({ revision: 3n });
    const [change] = entry?.changes ?? [];
    expect(change?.after?.kind.value).toMatchObject({ included: [], includedCount: 99_998, keysOmitted: true });
    expect(change?.differences).toMatchObject([
      { path: "segment.included", before: '{"count":100000,"removed":3}', after: '{"count":99998,"added":1}' },
    ]);
  });

  it("that never was is not found", async () => {
    const notFound = refused("NotFound", "REVISION_NOT_FOUND", "revision");
    expect(await refusalOf(server.admin.getHistoryEntry({ revision: 2n }))).toMatchObject(notFound);
    expect(await refusalOf(server.admin.getHistoryEntry({}))).toMatchObject(notFound);
  });

  it("that is no longer kept is told from one that never was", async () => {
    const { admin } = await openForgetfulServer(3);
    for (const key of ["a", "b", "c", "d"]) await admin.createFlag({ flag: booleanFlag(key) });
    expect((await admin.getHistoryEntry({ revision: 3n })).entry?.revision).toBe(3n);
    expect(await refusalOf(admin.getHistoryEntry({ revision: 2n }))).toMatchObject(
      refused("FailedPrecondition", "HISTORY_COMPACTED", "revision"),
    );
  });

  it("shows a token of some environments what it may see, and nothing of the others", async () => {
    const { admin, address } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.createFlag({ flag: booleanFlag("a") }); // 3
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true } }); // 4
    const { bearer } = await admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const limited = await clientsWith(clientsOf(address, bearer), Role.READER, ["staging"]);
    const { entry } = await limited.admin.getHistoryEntry({ revision: 3n });
    expect(entry?.changes.map(({ environment }) => environment)).toEqual(["", "staging"]);
    expect(entry?.omittedChanges).toBe(0);
    expect(await refusalOf(limited.admin.getHistoryEntry({ revision: 4n }))).toMatchObject({
      reason: "REVISION_NOT_FOUND",
    });
  });
});
