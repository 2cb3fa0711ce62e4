import { access, chmod, mkdir, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { ChangeSchema, HistoryEntrySchema, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import {
  flagId,
  isStoreProblem,
  openLmdbStore,
  recordRevision,
  type Store,
  StoreUnavailable,
  verifyStore,
} from "../../src/store/index.js";
import { editTables } from "./edit-tables.js";
import {
  commit,
  flagRecord,
  historyOf,
  openProblem,
  openStore,
  put,
  remove,
  tailed,
  temporaryDirectory,
  transaction,
} from "./fixtures.js";

describe("opening a data directory", () => {
  it("creates it, with the directories on the way", async () => {
    const path = join(await temporaryDirectory(), "a", "b", "data.d");
    const store = await openStore(path);
    expect(await commit(store, [put("a")])).toBe(1n);
    await access(join(path, "data.mdb"));
  });

  it.runIf(process.platform === "linux")("says where no directory can be, rather than trying for ever", async () => {
    const problem = await openProblem({ path: "/proc/flagwire/data" });
    expect(problem).toMatchObject({ kind: "unsupported", message: expect.stringContaining("/proc can have no") });
  });

  it("finds everything again: epoch, records, history, idempotency keys", async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    const idempotency = { key: "k", fingerprint: "f" };
    await first.commit(transaction([put("a", "one"), put("b")], { idempotency }));
    await commit(first, [put("a", "two"), remove("b")]);
    const { epoch } = first;
    const before = { state: await first.load(), history: await historyOf(first) };
    await first.close();

    const second = await openStore(path);
    expect(second.epoch).toBe(epoch);
    expect(await second.load()).toEqual(before.state);
    expect(await historyOf(second)).toEqual(before.history);
    expect(await tailed(second, 0n, 2)).toHaveLength(2);
    expect(await second.findIdempotent("k")).toEqual({ ...idempotency, revision: 1n });
    const stale = { kind: "unchanged", id: flagId("b"), revision: 1n } as const;
    expect(await second.commit(transaction([put("b")], { preconditions: [stale] }))).toMatchObject({
      kind: "conflict",
    });
    expect(await commit(second, [put("c")])).toBe(3n);
  });

  it("gives each new directory another epoch", async () => {
    const first = await openStore(await temporaryDirectory());
    const second = await openStore(await temporaryDirectory());
    expect(first.epoch).not.toBe(second.epoch);
  });

  it("takes up a creation that was cut short", async () => {
    const path = await temporaryDirectory();
    await writeFile(join(path, "data.mdb"), "");
    const store = await openStore(path);
    expect(await commit(store, [put("a")])).toBe(1n);
  });

  it("loads what was committed since it was opened", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await commit(store, [put("a")]);
    expect((await store.load()).revision).toBe(1n);
    const record = (await store.load()).records.get(flagId("a"));
    expect(record && recordRevision(record)).toBe(1n);
  });

  it("trims older history to lowered bounds", async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    for (let i = 1; i <= 20; i++) await commit(first, [put("a", `change ${i}`)]);
    await first.close();
    const second = await openStore(path, { history: { maxEntries: 5 } });
    expect(second.edges()).toEqual({ oldest: 1n, newest: 20n });
    await commit(second, [put("a")]);
    expect(second.edges()).toEqual({ oldest: 17n, newest: 21n });
  });

  it("drops idempotency keys to lowered bounds", async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    const keyed = (i: number) => transaction([put("a", `${i}`)], { idempotency: { key: `k${i}`, fingerprint: "f" } });
    for (let i = 1; i <= 20; i++) await first.commit(keyed(i));
    await first.close();
    const second = await openStore(path, { history: { maxEntries: 5 } });
    await commit(second, [put("a")]);
    const kept = await Promise.all(Array.from({ length: 20 }, (_, i) => second.findIdempotent(`k${i + 1}`)));
    expect(kept.flatMap((write) => write?.revision ?? [])).toEqual([17n, 18n, 19n, 20n]);
  });

  it("finds the keys of writes that changed nothing again, and goes on counting them", async () => {
    const path = await temporaryDirectory();
    const bounds = { history: { maxEntries: 2 } };
    const nothing = (key: string) => transaction([], { idempotency: { key, fingerprint: "f" } });
    const first = await openStore(path, bounds);
    await commit(first, [put("a")]);
    for (const key of ["k1", "k2"]) await first.commit(nothing(key));
    await first.close();
    const second = await openStore(path, bounds);
    const repeated = { kind: "repeated", write: { key: "k1", fingerprint: "f", revision: 1n, changedNothing: true } };
    expect(await second.commit(nothing("k1"))).toEqual(repeated);
    expect(await second.commit(nothing("k3"))).toEqual({ kind: "unchanged", revision: 1n });
    const kept = await Promise.all(["k1", "k2", "k3"].map((key) => second.findIdempotent(key)));
    expect(kept.map((write) => write?.key)).toEqual([undefined, "k2", "k3"]);
  });

  it("drops the keys of writes that changed nothing to lowered bounds", async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    for (let i = 1; i <= 20; i++)
      await first.commit(transaction([], { idempotency: { key: `k${i}`, fingerprint: "f" } }));
    await first.close();
    const second = await openStore(path, { history: { maxEntries: 5 } });
    await commit(second, [put("a")]);
    const kept = await Promise.all(Array.from({ length: 20 }, (_, i) => second.findIdempotent(`k${i + 1}`)));
    expect(kept.flatMap((write) => write?.key ?? [])).toEqual(["k16", "k17", "k18", "k19", "k20"]);
    await second.close();
    expect(await verifyStore(path)).toMatchObject({ idempotencyKeyCount: 5, problems: [] });
  });

  // As it was written by versions that dropped idempotency keys together with history.
  it("takes over a directory that does not say which idempotency keys it keeps", async () => {
    const path = await temporaryDirectory();
    const bounds = { history: { maxEntries: 3 } };
    const first = await openStore(path, bounds);
    for (let i = 1; i <= 4; i++) await commit(first, [put("a", `change ${i}`)]);
    await first.commit(transaction([put("b")], { idempotency: { key: "k", fingerprint: "f" } }));
    await first.close();
    await editTables(path, ({ meta }) => meta.remove("idempotency-oldest"));
    const second = await openStore(path, bounds);
    for (const key of ["c", "d"]) await commit(second, [put(key)]);
    expect(await second.findIdempotent("k")).toMatchObject({ revision: 5n });
    await commit(second, [put("e")]);
    expect(await second.findIdempotent("k")).toBeUndefined();
  });

  it("trims entries without decoding their records, and forgets what they deleted", async () => {
    const path = await temporaryDirectory();
    const bounds = { history: { maxEntries: 3 } };
    const first = await openStore(path, bounds);
    for (const change of [put("a"), remove("a"), put("b")]) await commit(first, [change]);
    await first.close();
    await editTables(path, ({ history }) => {
      for (const [revision, side] of [
        [1n, "after"],
        [2n, "before"],
      ] as const) {
        history.put(revisionKey(revision), entryOfUnreadableFlag(revision, "a", side));
      }
    });
    const second = await openStore(path, bounds);
    const stale = { kind: "unchanged", id: flagId("a"), revision: 1n } as const;
    await commit(second, [put("c")]);
    expect(await second.commit(transaction([put("d")], { preconditions: [stale] }))).toMatchObject({
      kind: "conflict",
    });
    expect(await commit(second, [put("d")])).toBe(5n);
    expect(second.edges().oldest).toBe(3n);
    expect(await commit(second, [put("e")], stale)).toBe(6n);
  });

  it("tells history in outline without decoding its records", async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    await commit(first, [put("a")]);
    await first.close();
    await editTables(path, ({ history }) => history.put(revisionKey(1n), entryOfUnreadableFlag(1n, "a", "after")));
    const second = await openStore(path);
    for await (const outline of second.outlines()) {
      expect([...outline.changes()]).toEqual([{ kind: "flag", key: "a", environment: "", isDeletion: false }]);
      expect(() => outline.entry()).toThrow(StoreUnavailable);
    }
  });
});

/** An entry in its stored form whose one record is a flag of bytes that are no message. */
function entryOfUnreadableFlag(revision: bigint, key: string, side: "before" | "after"): Uint8Array {
  const record = new BinaryWriter()
    .tag(RecordSchema.field.flag.number, WireType.LengthDelimited)
    .bytes(Buffer.from([7]));
  const change = new BinaryWriter().raw(toBinary(ChangeSchema, create(ChangeSchema, { key })));
  change.tag(ChangeSchema.field[side].number, WireType.LengthDelimited).bytes(record.finish());
  const entry = new BinaryWriter().raw(toBinary(HistoryEntrySchema, create(HistoryEntrySchema, { revision })));
  return entry.tag(HistoryEntrySchema.field.changes.number, WireType.LengthDelimited).bytes(change.finish()).finish();
}

function revisionKey(revision: bigint): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(revision);
  return key;
}

describe("owning a data directory", () => {
  it("refuses a second store in the same process, naming the owner", async () => {
    const path = await temporaryDirectory();
    await openStore(path);
    const problem = await openProblem({ path });
    expect(problem.kind).toBe("in-use");
    expect(problem.message).toContain(`process ${process.pid} `);
    expect(problem.message).toContain(path);
  });

  // Many times, because claimants that give up meet claimants that ask them in ever new ways.
  it("lets exactly one of many have it", async () => {
    const path = await temporaryDirectory();
    for (let round = 0; round < 60; round++) {
      const attempts = await Promise.all(Array.from({ length: 12 }, () => openLmdbStore({ path })));
      const stores = attempts.filter((attempt): attempt is Store => !isStoreProblem(attempt));
      expect(stores).toHaveLength(1);
      for (const attempt of attempts) if (isStoreProblem(attempt)) expect(attempt.kind).toBe("in-use");
      await Promise.all(stores.map((store) => store.close()));
    }
  });

  it("gives it free when it is closed, and leaves nothing behind", async () => {
    const path = await temporaryDirectory();
    for (let i = 0; i < 3; i++) {
      const store = await openStore(path);
      await store.close();
    }
    expect((await readdir(path)).sort()).toEqual(["data.mdb", "lock.mdb"]);
  });

  it("leaves nothing behind where it was refused", async () => {
    const path = await temporaryDirectory();
    await openStore(path);
    await openProblem({ path });
    expect((await readdir(path)).filter((name) => name.startsWith("owner-"))).toHaveLength(1);
  });

  it("clears away the sockets of dead owners", async () => {
    const path = await temporaryDirectory();
    const dead = join(path, `owner-${"0".repeat(32)}.sock`);
    await writeFile(dead, "");
    await writeFile(join(path, `owner-${"f".repeat(32)}.sock.new`), "");
    await openStore(path);
    expect((await readdir(path)).filter((name) => name.startsWith("owner-"))).toHaveLength(1);
    await expect(access(dead)).rejects.toThrow();
  });

  it("takes an owner that does not answer for alive", async () => {
    const path = await temporaryDirectory();
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(join(path, `owner-${"0".repeat(32)}.sock`), resolve));
    const clock = {
      now: () => 0,
      monotonicMs: () => 0,
      after: (_: number, action: () => void) => {
        const timer = setImmediate(action);
        return () => clearImmediate(timer);
      },
    };
    const problem = await openProblem({ path, clock });
    await new Promise((resolve) => silent.close(resolve));
    expect(problem.kind).toBe("in-use");
    expect(problem.message).toContain("another process");
  });

  it("works where the path is longer than a socket's may be", async () => {
    const path = join(await temporaryDirectory(), "d".repeat(100), "e".repeat(100));
    const store = await openStore(path);
    expect((await openProblem({ path })).kind).toBe("in-use");
    await store.close();
    await openStore(path);
  });

  it("is not needed for reading", async () => {
    const path = await temporaryDirectory();
    const owner = await openStore(path);
    await commit(owner, [put("a")]);
    const reader = await openStore(path, { readOnly: true });
    expect((await reader.load()).records.size).toBe(1);
    expect(await historyOf(reader)).toHaveLength(1);
    expect(await reader.commit(transaction([put("b")]))).toMatchObject({ kind: "unavailable", uncertain: false });
    await reader.close();
    expect(await commit(owner, [put("b")])).toBe(2n);
    expect((await owner.load()).records.size).toBe(2);
  });
});

describe("a data directory that cannot be used", () => {
  it("is a file", async () => {
    const path = join(await temporaryDirectory(), "file");
    await writeFile(path, "");
    expect(await openProblem({ path })).toMatchObject({
      kind: "not-a-directory",
      message: expect.stringContaining(path),
    });
    expect(await openProblem({ path: join(path, "below") })).toMatchObject({ kind: "not-a-directory" });
    expect(await openProblem({ path, readOnly: true })).toMatchObject({ kind: "not-a-directory" });
  });

  it("is not there, for a reader, and is not created", async () => {
    const path = join(await temporaryDirectory(), "missing");
    expect(await openProblem({ path, readOnly: true })).toMatchObject({ kind: "not-found" });
    await expect(stat(path)).rejects.toThrow();
    await mkdir(path);
    expect(await openProblem({ path, readOnly: true })).toMatchObject({ kind: "not-found" });
    expect(await readdir(path)).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("may not be read by this user", async () => {
    const path = join(await temporaryDirectory(), "data");
    await (await openStore(path)).close();
    const problem = await asOrdinaryUser(path, () => openProblem({ path }));
    expect(problem).toMatchObject({ kind: "no-permission", message: expect.stringContaining(path) });
  });

  it.for([
    ["garbage", Buffer.alloc(100_000, 7)],
    ["a few bytes", Buffer.from("hello")],
    ["zeros", Buffer.alloc(100_000)],
  ] as const)("holds %s instead of data", async ([, content]) => {
    const path = await temporaryDirectory();
    await writeFile(join(path, "data.mdb"), content);
    expect(await openProblem({ path })).toMatchObject({ kind: "damaged", message: expect.stringContaining(path) });
    expect((await readdir(path)).filter((name) => name.startsWith("owner-"))).toEqual([]);
  });

  it.for([2 * 4_096, 5 * 4_096, 20 * 4_096])("was cut off after %i bytes", async (length) => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    for (let i = 0; i < 50; i++) await commit(store, [put(`flag-${i}`, "x".repeat(5_000))]);
    await store.close();
    await truncate(join(path, "data.mdb"), length);
    expect(await openProblem({ path })).toMatchObject({ kind: "damaged" });
    expect(await openProblem({ path, readOnly: true })).toMatchObject({ kind: "damaged" });
  });

  it("is of another version", async () => {
    const path = await temporaryDirectory();
    await (await openStore(path)).close();
    await editTables(path, ({ meta }) => meta.put("format", Buffer.from("99")));
    const problem = await openProblem({ path });
    expect(problem.kind).toBe("other-format");
    expect(problem.message).toContain("format 99");
    await editTables(path, ({ meta }) => meta.put("format", Buffer.from("1")));
    await openStore(path);
  });

  it("belongs to another program", async () => {
    const path = await temporaryDirectory();
    await editTables(path, ({ other }) => other.put("a", Buffer.from("b")));
    const before = await stat(join(path, "data.mdb"));
    expect(await openProblem({ path })).toMatchObject({ kind: "other-format" });
    expect((await stat(join(path, "data.mdb"))).mtimeMs).toBe(before.mtimeMs);
  });

  it("has a record that cannot be read", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await commit(store, [put("a")]);
    await store.close();
    await editTables(path, ({ records }) => records.put(flagId("a"), Buffer.from([7, 7, 7])));
    const problem = await openProblem({ path });
    expect(problem.kind).toBe("damaged");
    expect(problem.message).toContain("flag/a");
  });

  it("has no number of its head", async () => {
    const path = await temporaryDirectory();
    await (await openStore(path)).close();
    await editTables(path, ({ meta }) => meta.put("head", Buffer.from("many")));
    expect(await openProblem({ path })).toMatchObject({ kind: "damaged" });
  });
});

describe("a disk that is nearly full", () => {
  it("refuses commits and changes nothing", async () => {
    const store = await openStore(await temporaryDirectory(), { minFreeBytes: 2 ** 50 });
    const result = await store.commit(transaction([put("a")]));
    if (result.kind !== "low-disk") throw new Error(result.kind);
    expect(result.neededBytes).toBeGreaterThan(2 ** 50);
    expect(result.freeBytes).toBeLessThan(result.neededBytes);
    expect(store.edges().newest).toBe(0n);
    expect((await store.load()).records.size).toBe(0);
  });

  it("is refused also where only an idempotency key is to be kept", async () => {
    const store = await openStore(await temporaryDirectory(), { minFreeBytes: 2 ** 50 });
    const idempotency = { key: "k", fingerprint: "f" };
    expect(await store.commit(transaction([], { idempotency }))).toMatchObject({ kind: "low-disk" });
    expect(await store.findIdempotent("k")).toBeUndefined();
  });

  it("still tells what became of an earlier write", async () => {
    const path = await temporaryDirectory();
    const idempotency = { key: "k", fingerprint: "f" };
    const first = await openStore(path);
    await first.commit(transaction([{ id: flagId("a"), after: flagRecord("a") }], { idempotency }));
    await first.close();
    const second = await openStore(path, { minFreeBytes: 2 ** 50 });
    expect(await second.commit(transaction([put("a")], { idempotency }))).toMatchObject({ kind: "repeated" });
  });
});

/** Runs `action` as a user who may not use `path`: root may use everything, so it becomes another user for the time. */
async function asOrdinaryUser<T>(path: string, action: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  await chmod(path, 0);
  if (isRoot) process.seteuid?.(65_534);
  try {
    return await action();
  } finally {
    if (isRoot) process.seteuid?.(0);
    await chmod(path, 0o700);
  }
}
