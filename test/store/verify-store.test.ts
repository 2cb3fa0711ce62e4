import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { HistoryEntrySchema, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { flagId, isStoreProblem, type VerifyReport, verifyStore } from "../../src/store/index.js";
import { editTables } from "./edit-tables.js";
import { commit, flagRecord, historyOf, openStore, put, remove, temporaryDirectory, transaction } from "./fixtures.js";

/** A directory after some work of every kind, with two writes that changed nothing at 3 and 6: head 6, with history from `6 - maxEntries + 1`. */
async function worked(maxEntries = 100): Promise<string> {
  const path = await temporaryDirectory();
  const store = await openStore(path, { history: { maxEntries } });
  await commit(store, [put("a", "one"), put("b"), put("c")]);
  await store.commit(transaction([put("a", "two")], { idempotency: { key: "k1", fingerprint: "f" } }));
  await commit(store, [remove("b")]);
  await store.commit(transaction([], { idempotency: { key: "n1", fingerprint: "f" } }));
  await commit(store, [put("b", "again")]);
  await store.commit(transaction([remove("c"), put("d")], { idempotency: { key: "k2", fingerprint: "f" } }));
  await commit(store, [put("a", "three")]);
  await store.commit(transaction([], { idempotency: { key: "n2", fingerprint: "f" } }));
  await store.close();
  return path;
}

async function verified(path: string): Promise<VerifyReport> {
  const report = await verifyStore(path);
  if (isStoreProblem(report)) throw new Error(report.message);
  return report;
}

function revisionKey(revision: bigint): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(revision);
  return key;
}

/** A flag in its stored form, as if `revision` had changed it. */
function flagBytes(key: string, description: string, revision: bigint): Uint8Array {
  const record = flagRecord(key, description);
  if (record.kind.value) record.kind.value.revision = revision;
  return toBinary(RecordSchema, record);
}

describe("verifying a sound directory", () => {
  it("finds nothing, and counts what is there", async () => {
    const report = await verified(await worked());
    expect(report).toMatchObject({
      formatVersion: "1",
      headRevision: 6n,
      recordCount: 3,
      historyCount: 6,
      history: { oldest: 1n, newest: 6n },
      idempotencyKeyCount: 4,
      problems: [],
      problemCount: 0,
    });
    expect(report.historyBytes).toBeGreaterThan(0);
    expect(report.epoch).not.toBe("");
  });

  it.for([1, 2, 3, 4, 5])("finds nothing where only %i transactions are kept", async (maxEntries) => {
    const report = await verified(await worked(maxEntries));
    expect(report).toMatchObject({ headRevision: 6n, historyCount: maxEntries, problems: [] });
  });

  it("finds nothing where idempotency keys are older than history", async () => {
    const path = await worked();
    const store = await openStore(path, { history: { maxBytes: 1 } });
    await commit(store, [put("a", "four")]);
    await store.close();
    expect(await verified(path)).toMatchObject({ historyCount: 1, idempotencyKeyCount: 4, problems: [] });
  });

  it("finds nothing in one of a version that dropped idempotency keys with history", async () => {
    const path = await worked();
    await editTables(path, ({ meta }) => meta.remove("idempotency-oldest"));
    expect(await verified(path)).toMatchObject({ idempotencyKeyCount: 4, problems: [] });
  });

  it("finds nothing where a write changed nothing before the first transaction", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await store.commit(transaction([], { idempotency: { key: "n", fingerprint: "f" } }));
    await commit(store, [put("a")]);
    await store.close();
    expect(await verified(path)).toMatchObject({ headRevision: 1n, idempotencyKeyCount: 1, problems: [] });
  });

  it("finds nothing in a new one", async () => {
    const path = await temporaryDirectory();
    await (await openStore(path)).close();
    expect(await verified(path)).toMatchObject({ headRevision: 0n, historyCount: 0, problems: [] });
  });

  it("works beside its owner in the same process", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await commit(store, [put("a")]);
    expect(await verified(path)).toMatchObject({ headRevision: 1n, problems: [] });
    expect(await commit(store, [put("b")])).toBe(2n);
  });

  it("says that there is nothing to verify", async () => {
    expect(await verifyStore(join(await temporaryDirectory(), "none"))).toMatchObject({ kind: "not-found" });
  });
});

describe("verifying a directory with planted damage", () => {
  const damages: readonly [string, Parameters<typeof editTables>[1], RegExp][] = [
    ["a record that cannot be decoded", (t) => t.records.put("flag/a", Buffer.from([7])), /flag\/a cannot be decoded/],
    ["a record under another id", (t) => t.records.put("flag/z", flagBytes("d", "", 5n)), /flag\/z holds flag\/d/],
    [
      "a record that was altered",
      (t) => t.records.put("flag/a", flagBytes("a", "x", 6n)),
      /flag\/a is not what history/,
    ],
    ["a record from the future", (t) => t.records.put("flag/z", flagBytes("z", "", 9n)), /revision 9, the head is 6/],
    ["a record without history", (t) => t.records.put("flag/z", flagBytes("z", "", 3n)), /does not tell of it/],
    ["a record that is missing", (t) => t.records.remove("flag/d"), /flag\/d is missing/],
    ["a deleted record that is there", (t) => t.records.put("flag/c", flagBytes("c", "", 1n)), /flag\/c is/],
    ["a gap in history", (t) => t.history.remove(revisionKey(3n)), /from revision 2 to 4/],
    ["history that ends early", (t) => t.history.remove(revisionKey(6n)), /ends at revision 5/],
    ["history that cannot be decoded", (t) => t.history.put(revisionKey(2n), Buffer.from([7])), /entry 2 cannot/],
    ["a head that is too high", (t) => t.meta.put("head", Buffer.from("7")), /the head is 7/],
    ["a wrong size of history", (t) => t.meta.put("history-bytes", Buffer.from("7")), /counted as 7/],
    [
      "an idempotency key in another place",
      (t) => t.idempotency.put("x", idempotentWrite("k1", 2)),
      /place of another/,
    ],
    [
      "an idempotency key of the future",
      (t) => {
        t.idempotency.put("x", idempotentWrite("k1", 9));
        t["idempotency-order"].put(revisionKey(9n), Buffer.from("x"));
      },
      /points to revision 9/,
    ],
    ["an idempotency key that should be gone", (t) => t.meta.put("idempotency-oldest", Buffer.from("3")), /revision 2/],
    [
      "a revision without its idempotency key",
      (t) => t["idempotency-order"].put(revisionKey(3n), Buffer.from("x")),
      /4 idempotency keys, but 5/,
    ],
    [
      "the key of a write that changed nothing, in the place of another",
      (t) => t["idempotency-order"].put(unchangedKey(1n), Buffer.alloc(40)),
      /"n1" points to revision 3/,
    ],
    [
      "the key of a write that changed nothing, with a revision of the future",
      (t) => t.meta.put("head", Buffer.from("5")),
      /"n2" points to revision 6/,
    ],
    [
      "the key of a write that changed nothing, which should be gone",
      (t) => t.meta.put("unchanged-oldest", Buffer.from("2")),
      /"n1" points to revision 3\n2 idempotency keys are of writes that changed nothing, of the numbers 2 to 2/,
    ],
    [
      "the key of a write that changed nothing, with a number that cannot be",
      (t) => t.idempotency.put("x", idempotentWrite("n1", 3, "first")),
      /idempotency key cannot/,
    ],
    ["an unreadable idempotency key", (t) => t.idempotency.put("x", Buffer.from("{")), /idempotency key cannot/],
    ["a deletion that is forgotten", (t) => t.deletions.remove("flag/c"), /5 deleted flag\/c, which is noted of none/],
    [
      "history that is gone",
      (t) => {
        for (let revision = 1n; revision <= 6n; revision++) t.history.remove(revisionKey(revision));
        t.meta.put("oldest", Buffer.from("7"));
        t.meta.put("history-bytes", Buffer.from("0"));
      },
      /history begins at revision 7, the head is 6/,
    ],
    ["a deletion of the future", (t) => t.deletions.put("flag/c", revisionKey(9n)), /flag\/c points to revision 9/],
  ];

  it.for(damages)("finds %s", async ([, edit, expected]) => {
    const path = await worked();
    await editTables(path, edit);
    const { problems, problemCount } = await verified(path);
    expect(problems.join("\n")).toMatch(expected);
    expect(problemCount).toBe(problems.length);
  });

  it("finds a change that does not continue the one before", async () => {
    const path = await worked();
    const store = await openStore(path);
    const [last] = await historyOf(store);
    await store.close();
    const before = last?.changes[0]?.before?.kind.value;
    if (!last || before?.$typeName !== "flagwire.v1.Flag") throw new Error("no flag");
    before.description = "something else";
    await editTables(path, ({ history }) => history.put(revisionKey(6n), toBinary(HistoryEntrySchema, last)));
    const { problems } = await verified(path);
    expect(problems.join("\n")).toContain(`revision 6 does not continue what ${flagId("a")} was before`);
  });

  it("names the first hundred problems, and counts all", async () => {
    const path = await worked();
    await editTables(path, ({ records }) => {
      for (let i = 0; i < 150; i++) records.put(`flag/${i}`, Buffer.from([7]));
    });
    const { problems, problemCount } = await verified(path);
    expect(problems).toHaveLength(100);
    expect(problemCount).toBe(150);
  });
});

function idempotentWrite(key: string, revision: number, unchanged?: string): Uint8Array {
  return Buffer.from(JSON.stringify({ key, fingerprint: "f", revision: String(revision), unchanged }));
}

function unchangedKey(number: bigint): Uint8Array {
  return Buffer.concat([Buffer.alloc(8, 0xff), revisionKey(number)]);
}
