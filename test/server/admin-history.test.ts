import { toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { ListHistoryResponseSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  booleanFlag,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const entries = async (request = {}) => (await server.admin.listHistory(request)).entries;
const revisions = async (request = {}) => (await entries(request)).map(({ revision }) => Number(revision));

describe("history", () => {
  it("says who changed what, when and why, before and after", async () => {
    const { admin } = server;
    const startedMs = Date.now();
    await admin.createFlag({ flag: booleanFlag("a") });
    await admin.updateFlag(
      { flag: booleanFlag("a", { description: "new" }), comment: "clearer" },
      { headers: { "flagwire-author": "  ada@example.com " } },
    );
    const [update, creation] = await entries();
    expect(update).toMatchObject({ revision: 3n, author: "ada@example.com", comment: "clearer", omittedChanges: 0 });
    const timeMs = update?.time ? timestampMs(update.time) : 0;
    expect(timeMs).toBeGreaterThanOrEqual(startedMs - 1);
    expect(timeMs).toBeLessThanOrEqual(Date.now());
    expect(update?.changes).toHaveLength(1);
    expect(update?.changes[0]).toMatchObject({
      key: "a",
      environment: "",
      before: { kind: { case: "flag", value: { description: "", revision: 2n } } },
      after: { kind: { case: "flag", value: { description: "new", revision: 3n, changedBy: "ada@example.com" } } },
    });
    expect(creation).toMatchObject({ revision: 2n, author: "anonymous" });
    expect(creation?.changes.map(({ before, after }) => [before?.kind.case, after?.kind.case])).toEqual([
      [undefined, "flag"],
      [undefined, "targeting"],
    ]);
  });

  it("takes names of authors as they are, but for control characters and length", async () => {
    for (const [index, [header, author]] of [
      ["x".repeat(300), "x".repeat(256)],
      ["   ", "anonymous"],
      ["a\tb", "ab"],
    ].entries()) {
      const flag = { key: `f${index}`, type: "FLAG_TYPE_STRING", kind: "FLAG_KIND_OPERATIONAL", variants: { v: "v" } };
      await server.json("flagwire.v1.AdminService/CreateFlag", { flag }, { "flagwire-author": header ?? "" });
      expect((await entries())[0]).toMatchObject({ revision: BigInt(index + 2), author });
    }
  });

  it("keeps what was deleted, and reserves its key in the same transaction", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.deleteFlag({ key: "a" });
    const [deletion] = await entries();
    expect(deletion?.changes.map(({ before, after }) => [before?.kind.case, after?.kind.case])).toEqual([
      ["flag", undefined],
      ["targeting", undefined],
      [undefined, "reservedKey"],
    ]);
  });

  it("has no entry for writes that were refused, tried or changed nothing", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await refusalOf(admin.createFlag({ flag: booleanFlag("a") }));
    await refusalOf(admin.updateFlag({ flag: booleanFlag("a", { kind: 1 }) }));
    await admin.updateFlag({ flag: booleanFlag("a"), comment: "nothing" });
    await admin.createFlag({ flag: booleanFlag("b"), dryRun: true });
    await admin.createFlag({ flag: booleanFlag("c") });
    expect(await revisions()).toEqual([3, 2, 1]);
  });

  it("can be of one flag, its settings included, or of one environment", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") }); // 2
    await admin.createFlag({ flag: booleanFlag("b") }); // 3
    await admin.createEnvironment({ environment: { name: "staging" } }); // 4
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true } }); // 5
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "b", enabled: true } }); // 6
    await admin.createSegment({ environment: "staging", segment: { key: "a" } }); // 7
    await admin.deleteFlag({ key: "a" }); // 8
    expect(await revisions({ flagKey: "a" })).toEqual([8, 5, 4, 2]);
    expect(await revisions({ environment: "staging" })).toEqual([8, 7, 6, 4]);
    expect(await revisions({ environment: "staging", flagKey: "b" })).toEqual([6, 4]);
    expect(await revisions({ environment: "production", flagKey: "a" })).toEqual([8, 5, 2]);
    expect(await revisions({ flagKey: "none" })).toEqual([]);
  });

  it("comes in pages, newest first, that hold still while more is written", async () => {
    const { admin } = server;
    for (const key of ["a", "b", "c", "d"]) await admin.createFlag({ flag: booleanFlag(key) });
    const first = await admin.listHistory({ pageSize: 2 });
    expect(first.entries.map(({ revision }) => revision)).toEqual([5n, 4n]);
    expect(first).toMatchObject({ oldestRevision: 1n, revision: 5n });
    await admin.createFlag({ flag: booleanFlag("e") });
    const second = await admin.listHistory({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.entries.map(({ revision }) => revision)).toEqual([3n, 2n]);
    const third = await admin.listHistory({ pageSize: 2, pageToken: second.nextPageToken });
    expect(third.entries.map(({ revision }) => revision)).toEqual([1n]);
    expect(third.nextPageToken).toBe("");
  });

  it("refuses pages above the limit and tokens that it did not give", async () => {
    expect(await refusalOf(server.admin.listHistory({ pageSize: 1_001 }))).toMatchObject(invalid("page_size"));
    expect(await refusalOf(server.admin.listHistory({ pageToken: "next" }))).toMatchObject(invalid("page_token"));
    const beyond = await server.admin.listHistory({ pageToken: "9999999999999999999" });
    expect(beyond.entries).toHaveLength(1);
  });

  it("shortens a transaction that would not fit, and counts what it leaves out", async () => {
    const variants = { v: text("x".repeat(150_000)) };
    const flags = Array.from({ length: 20 }, (_, index) => stringFlag(`flag-${index}`, [], { variants }));
    await server.admin.import(
      (async function* () {
        yield { file: { flags } };
      })(),
    );
    const answer = await server.admin.listHistory({});
    expect(toBinary(ListHistoryResponseSchema, answer).length).toBeLessThan(2 * 1_048_576);
    const [entry] = answer.entries;
    expect(entry?.revision).toBe(2n);
    expect(entry?.omittedChanges).toBeGreaterThan(10);
    expect((entry?.changes.length ?? 0) + (entry?.omittedChanges ?? 0)).toBe(40);
  });

  it("leaves out a change that alone would be too large for a client", async () => {
    const large = (fill: string) => stringFlag("a", [], { variants: { v: text(fill.repeat(1_200_000)) } });
    await server.admin.createFlag({ flag: large("x") });
    await server.admin.updateFlag({ flag: large("y") });
    const [update] = await entries();
    expect(update).toMatchObject({ revision: 3n, changes: [], omittedChanges: 1 });
    const creation = (await entries({ pageToken: "3" }))[0];
    expect(creation).toMatchObject({ revision: 2n, omittedChanges: 1 });
    expect(creation?.changes).toHaveLength(1);
  });

  it("of one flag shows what changed of it, however much else its transaction changed", async () => {
    const variants = { v: text("x".repeat(150_000)) };
    const flags = Array.from({ length: 20 }, (_, index) => stringFlag(`flag-${index}`, [], { variants }));
    await server.admin.import(
      (async function* () {
        yield { file: { flags: [...flags, stringFlag("last", ["v"])] } };
      })(),
    );
    const [entry] = await entries({ flagKey: "last" });
    const [flag, targeting] = entry?.changes ?? [];
    expect(flag).toMatchObject({ key: "last", after: { kind: { case: "flag" } } });
    expect(targeting).toMatchObject({ key: "last", after: { kind: { case: "targeting" } } });
    expect((entry?.changes.length ?? 0) + (entry?.omittedChanges ?? 0)).toBe(42);
    expect(entry?.omittedChanges).toBeGreaterThan(0);
  });

  it("survives a restart", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { default: serve("on") } });
    const before = await entries();
    await server.restart();
    expect(await entries()).toEqual(before);
  });
});
