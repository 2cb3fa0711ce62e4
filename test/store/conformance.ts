import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import {
  type BoundsOptions,
  environmentId,
  flagId,
  HistoryCompacted,
  recordId,
  recordRevision,
  reservedKeyId,
  type Store,
  StoreUnavailable,
  segmentId,
  type Transaction,
  targetingId,
} from "../../src/store/index.js";
import {
  commit,
  environmentRecord,
  flagRecord,
  historyOf,
  outlinesOf,
  put,
  remove,
  reservedKeyRecord,
  segmentRecord,
  tailed,
  targetingRecord,
  transaction,
} from "./fixtures.js";

/** Opens a fresh store that is closed with the test. */
export type OpenFreshStore = (options?: BoundsOptions) => Promise<Store>;

/** What every store does, whatever it is kept in. */
export function describeStore(name: string, open: OpenFreshStore): void {
  describe(name, () => {
    describe("committing", () => describeCommit(open));
    describe("preconditions", () => describePreconditions(open));
    describe("idempotency", () => describeIdempotency(open));
    describe("a write that changes nothing", () => describeUnchanged(open));
    describe("history", () => describeHistory(open));
    describe("tail", () => describeTail(open));
    describe("bounds of history", () => describeBounds(open));
    describe("closing", () => describeClose(open));
  });
}

function describeCommit(open: OpenFreshStore): void {
  it("starts at revision 0 with nothing in it", async () => {
    const store = await open();
    const state = await store.load();
    expect(state.revision).toBe(0n);
    expect(state.records.size).toBe(0);
    expect(store.edges()).toEqual({ oldest: 1n, newest: 0n });
    expect(store.epoch).not.toBe("");
  });

  it("gives each transaction the next revision", async () => {
    const store = await open();
    expect(await commit(store, [put("a")])).toBe(1n);
    expect(await commit(store, [put("b"), put("c")])).toBe(2n);
    expect(await commit(store, [remove("b")])).toBe(3n);
    const state = await store.load();
    expect(state.revision).toBe(3n);
    expect([...state.records.keys()]).toEqual(["flag/a", "flag/c"]);
  });

  it("keeps every kind of record under its id, with the revision that changed it", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    await commit(store, [
      { id: targetingId("production", "a"), after: targetingRecord("production", "a") },
      { id: segmentId("production", "beta"), after: segmentRecord("production", "beta") },
      { id: environmentId("staging"), after: environmentRecord("staging") },
      { id: reservedKeyId("old"), after: reservedKeyRecord("old") },
    ]);
    const { records } = await store.load();
    const revisions = [...records].map(([id, record]) => [id, recordRevision(record)]);
    expect(revisions).toEqual([
      ["environment/staging", 2n],
      ["flag/a", 1n],
      ["reserved/old", 2n],
      ["segment/production/beta", 2n],
      ["targeting/production/a", 2n],
    ]);
  });

  it("leaves the caller's record alone, and is not changed through it", async () => {
    const store = await open();
    const record = flagRecord("a", "as committed");
    await store.commit(transaction([{ id: flagId("a"), after: record }]));
    expect(recordRevision(record)).toBe(0n);
    if (record.kind.case === "flag") record.kind.value.description = "changed later";
    expect((await store.load()).records.get(flagId("a"))?.kind.value).toMatchObject({ description: "as committed" });
    expect((await tailed(store, 0n, 1))[0]?.changes[0]?.after?.kind.value).toMatchObject({
      description: "as committed",
    });
  });

  it("shares no list with the caller's segment", async () => {
    const store = await open();
    const record = segmentRecord("production", "beta");
    const id = segmentId("production", "beta");
    await store.commit(transaction([{ id, after: record }]));
    if (record.kind.case !== "segment") throw new Error("no segment");
    record.kind.value.included.push("later");
    record.kind.value.excluded.push("later");
    const [entry] = await tailed(store, 0n, 1);
    expect(entry?.changes[0]?.after?.kind.value).toMatchObject({ included: ["u1"], excluded: [] });
  });

  it("gives 64 concurrent transactions 64 revisions without a gap", async () => {
    const store = await open();
    const keys = Array.from({ length: 64 }, (_, i) => `flag-${i}`);
    const revisions = await Promise.all(keys.map((key) => commit(store, [put(key)])));
    expect([...revisions].sort((a, b) => Number(a - b))).toEqual(keys.map((_, i) => BigInt(i + 1)));
    const entries = await tailed(store, 0n, 64);
    expect(entries.map((entry) => entry.revision)).toEqual(keys.map((_, i) => BigInt(i + 1)));
    for (const [i, key] of keys.entries()) {
      expect(entries[Number(revisions[i]) - 1]?.changes[0]?.key).toBe(key);
    }
  });

  it("lets deleting what is not there change nothing", async () => {
    const store = await open();
    expect(await commit(store, [remove("a"), put("b")])).toBe(1n);
    const [entry] = await tailed(store, 0n, 1);
    expect(entry?.changes.map((change) => change.key)).toEqual(["b"]);
  });

  it("rejects a transaction that no caller may build", async () => {
    const store = await open();
    await expect(store.commit(transaction([]))).rejects.toThrow("no changes");
    await expect(store.commit(transaction([put("a"), remove("a")]))).rejects.toThrow("twice");
    await expect(store.commit(transaction([{ id: flagId("b"), after: flagRecord("a") }]))).rejects.toThrow("flag/b");
    const empty = { id: flagId("b"), after: create(RecordSchema) };
    await expect(store.commit(transaction([empty]))).rejects.toThrow("flag/b");
    expect(await commit(store, [put("a")])).toBe(1n);
  });
}

function describePreconditions(open: OpenFreshStore): void {
  const unchanged = (key: string, revision: bigint) => ({ kind: "unchanged", id: flagId(key), revision }) as const;
  const absent = (key: string) => ({ kind: "absent", id: flagId(key) }) as const;
  const head = (revision: bigint) => ({ kind: "head", revision }) as const;

  it("commits onto a record that has not changed since", async () => {
    const store = await open();
    const first = await commit(store, [put("a")]);
    await commit(store, [put("b")]);
    expect(await commit(store, [put("a", "new")], unchanged("a", first))).toBe(3n);
  });

  it("conflicts with a newer change of the record, and then writes nothing", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    await commit(store, [put("a", "newer")]);
    const precondition = unchanged("a", 1n);
    const result = await store.commit(transaction([put("a", "lost"), put("b")], { preconditions: [precondition] }));
    expect(result).toEqual({ kind: "conflict", precondition, headRevision: 2n });
    const state = await store.load();
    expect(state.revision).toBe(2n);
    expect([...state.records.keys()]).toEqual(["flag/a"]);
    expect(await commit(store, [put("b")])).toBe(3n);
  });

  it("names the first precondition that does not hold", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    const preconditions = [absent("b"), head(0n), absent("a")];
    const result = await store.commit(transaction([put("c")], { preconditions }));
    expect(result).toMatchObject({ kind: "conflict", precondition: head(0n) });
  });

  it("takes a record that never was as unchanged", async () => {
    const store = await open();
    expect(await commit(store, [put("a")], unchanged("a", 0n))).toBe(1n);
  });

  it("conflicts with the deletion of the record after the revision", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    await commit(store, [remove("a")]);
    expect(await store.commit(transaction([put("a")], { preconditions: [unchanged("a", 1n)] }))).toMatchObject({
      kind: "conflict",
      headRevision: 2n,
    });
    expect(await commit(store, [put("a")], unchanged("a", 2n))).toBe(3n);
    expect(await commit(store, [put("a", "again")], unchanged("a", 3n))).toBe(4n);
  });

  it("forgets a deletion together with its history", async () => {
    const store = await open({ history: { maxEntries: 2 } });
    await commit(store, [put("a")]);
    await commit(store, [remove("a")]);
    await commit(store, [put("b")]);
    expect(await store.commit(transaction([put("a")], { preconditions: [unchanged("a", 1n)] }))).toMatchObject({
      kind: "conflict",
    });
    await commit(store, [put("c")]);
    expect(await commit(store, [put("a")], unchanged("a", 1n))).toBe(5n);
  });

  it("forgets the deletion of every kind of record together with its history", async () => {
    const store = await open({ history: { maxEntries: 2 } });
    const records = [
      flagRecord("a"),
      targetingRecord("production", "a"),
      segmentRecord("production", "beta"),
      environmentRecord("staging"),
      reservedKeyRecord("old"),
    ].map((after) => ({ id: recordId(after) ?? "", after }));
    await commit(store, records);
    await commit(
      store,
      records.map(({ id }) => ({ id, after: undefined })),
    );
    const stale = (id: string) => ({ kind: "unchanged", id, revision: 1n }) as const;
    await commit(store, [put("b")]);
    for (const { id } of records) {
      const result = await store.commit(transaction([put("c")], { preconditions: [stale(id)] }));
      expect(result).toMatchObject({ kind: "conflict", precondition: { id } });
    }
    await commit(store, [put("b", "again")]);
    await commit(store, [put("c")], ...records.map(({ id }) => stale(id)));
  });

  it("conflicts where a record should be absent and is not", async () => {
    const store = await open();
    expect(await commit(store, [put("a")], absent("a"))).toBe(1n);
    expect(await store.commit(transaction([put("a")], { preconditions: [absent("a")] }))).toMatchObject({
      kind: "conflict",
    });
    await commit(store, [remove("a")]);
    expect(await commit(store, [put("a")], absent("a"))).toBe(3n);
  });

  it("conflicts where anything was committed after the head that was seen", async () => {
    const store = await open();
    expect(await commit(store, [put("a")], head(0n))).toBe(1n);
    expect(await commit(store, [put("b")], head(1n))).toBe(2n);
    expect(await store.commit(transaction([put("c")], { preconditions: [head(1n)] }))).toMatchObject({
      kind: "conflict",
      headRevision: 2n,
    });
  });

  it("conflicts with revisions beyond the head", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    for (const precondition of [head(2n), unchanged("a", 2n), unchanged("none", 2n)]) {
      const result = await store.commit(transaction([put("b")], { preconditions: [precondition] }));
      expect(result).toEqual({ kind: "conflict", precondition, headRevision: 1n });
    }
  });

  it("lets one of many concurrent writers of a record win", async () => {
    const store = await open();
    const attempts = Array.from({ length: 16 }, (_, i) =>
      store.commit(transaction([put("a", `writer ${i}`)], { preconditions: [unchanged("a", 0n)] })),
    );
    const results = await Promise.all(attempts);
    expect(results.filter((result) => result.kind === "committed")).toEqual([{ kind: "committed", revision: 1n }]);
    expect(results.filter((result) => result.kind === "conflict")).toHaveLength(15);
  });
}

function describeIdempotency(open: OpenFreshStore): void {
  const idempotency = { key: "key-1", fingerprint: "digest-1" };

  it("tells of the first write instead of writing again", async () => {
    const store = await open();
    await store.commit(transaction([put("a")], { idempotency }));
    const again = await store.commit(transaction([put("a")], { idempotency }));
    expect(again).toEqual({ kind: "repeated", write: { ...idempotency, revision: 1n } });
    expect(store.edges().newest).toBe(1n);
  });

  it("tells of the first write even where a precondition would not hold any more", async () => {
    const store = await open();
    const preconditions = [{ kind: "head", revision: 0n }] as const;
    await store.commit(transaction([put("a")], { idempotency, preconditions }));
    const again = await store.commit(transaction([put("a")], { idempotency, preconditions }));
    expect(again.kind).toBe("repeated");
  });

  it("shows by the fingerprint that a key was used for another write", async () => {
    const store = await open();
    await store.commit(transaction([put("a")], { idempotency }));
    const other = { key: idempotency.key, fingerprint: "digest-2" };
    const result = await store.commit(transaction([put("b")], { idempotency: other }));
    expect(result).toEqual({ kind: "repeated", write: { ...idempotency, revision: 1n } });
  });

  it("writes once for concurrent repetitions", async () => {
    const store = await open();
    const results = await Promise.all(
      Array.from({ length: 8 }, () => store.commit(transaction([put("a")], { idempotency }))),
    );
    expect(results.map((result) => result.kind).sort()).toEqual(["committed", ...Array(7).fill("repeated")]);
    expect(store.edges().newest).toBe(1n);
  });

  it("does not remember a write that conflicted", async () => {
    const store = await open();
    const preconditions = [{ kind: "head", revision: 7n }] as const;
    await store.commit(transaction([put("a")], { idempotency, preconditions }));
    expect(await store.commit(transaction([put("a")], { idempotency }))).toEqual({ kind: "committed", revision: 1n });
  });

  it("finds a write by its key, of any length", async () => {
    const store = await open();
    const key = "k\0é".repeat(2_000);
    await store.commit(transaction([put("a")], { idempotency: { key, fingerprint: "f" } }));
    expect(await store.findIdempotent(key)).toEqual({ key, fingerprint: "f", revision: 1n });
    expect(await store.findIdempotent("other")).toBeUndefined();
  });

  it("keeps a key however large the transactions after it, which push its own out of history", async () => {
    const store = await open({ history: { maxBytes: 1_000, maxEntries: 10 } });
    await store.commit(transaction([put("a")], { idempotency }));
    for (let i = 0; i < 5; i++) await commit(store, [put("b", String(i).repeat(1_000))]);
    expect(store.edges()).toEqual({ oldest: 6n, newest: 6n });
    expect(await store.findIdempotent(idempotency.key)).toEqual({ ...idempotency, revision: 1n });
    const again = await store.commit(transaction([put("a")], { idempotency }));
    expect(again).toEqual({ kind: "repeated", write: { ...idempotency, revision: 1n } });
  });

  it("forgets a key after as many transactions as history keeps at most", async () => {
    const store = await open({ history: { maxEntries: 2 } });
    await store.commit(transaction([put("a")], { idempotency }));
    await commit(store, [put("b")]);
    expect(await store.findIdempotent(idempotency.key)).toBeDefined();
    await commit(store, [put("c")]);
    expect(await store.findIdempotent(idempotency.key)).toBeUndefined();
    expect(await store.commit(transaction([put("a")], { idempotency }))).toEqual({ kind: "committed", revision: 4n });
    expect(await store.findIdempotent(idempotency.key)).toMatchObject({ revision: 4n });
  });

  it("keeps the newest transaction's key whatever the bounds", async () => {
    const store = await open({ history: { maxBytes: 1, maxEntries: 0 } });
    await commit(store, [put("a")]);
    await store.commit(transaction([put("b")], { idempotency }));
    expect(await store.findIdempotent(idempotency.key)).toMatchObject({ revision: 2n });
  });
}

function describeUnchanged(open: OpenFreshStore): void {
  const idempotency = { key: "key-1", fingerprint: "digest-1" };
  const nothing = (key: string, rest: Partial<Transaction> = {}) =>
    transaction([], { idempotency: { key, fingerprint: "f" }, ...rest });
  const known = async (store: Store, keys: readonly string[]) => {
    const found = await Promise.all(keys.map((key) => store.findIdempotent(key)));
    return found.flatMap((write) => write?.key ?? []);
  };

  it("keeps its key with the head's revision, and makes neither a revision nor history", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    const edges = store.edges();
    expect(await store.commit(transaction([], { idempotency }))).toEqual({ kind: "unchanged", revision: 1n });
    expect(await store.findIdempotent(idempotency.key)).toEqual({ ...idempotency, revision: 1n, changedNothing: true });
    expect(store.edges()).toEqual(edges);
    expect(await historyOf(store)).toHaveLength(1);
    expect((await store.load()).revision).toBe(1n);
  });

  it("is not seen by a tail", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    await store.commit(nothing("k"));
    await commit(store, [put("b")]);
    expect((await tailed(store, 0n, 2)).map(({ changes }) => changes[0]?.key)).toEqual(["a", "b"]);
  });

  it("does nothing later, when it would change something", async () => {
    const store = await open();
    await commit(store, [put("a", "one")]);
    await store.commit(transaction([], { idempotency }));
    await commit(store, [put("a", "two")]);
    const late = await store.commit(transaction([put("a", "one")], { idempotency }));
    expect(late).toEqual({ kind: "repeated", write: { ...idempotency, revision: 1n, changedNothing: true } });
    const other = { ...idempotency, fingerprint: "digest-2" };
    expect(await store.commit(transaction([put("b")], { idempotency: other }))).toEqual(late);
    expect((await store.load()).revision).toBe(2n);
  });

  it("is recognised again, also as a repetition of one that changed something", async () => {
    const store = await open();
    await store.commit(transaction([put("a")], { idempotency }));
    await commit(store, [put("b")]);
    await store.commit(nothing("k"));
    expect(await store.commit(nothing("k"))).toMatchObject({ kind: "repeated", write: { revision: 2n } });
    const again = await store.commit(transaction([], { idempotency }));
    expect(again).toEqual({ kind: "repeated", write: { ...idempotency, revision: 1n } });
  });

  it("conflicts with what was changed meanwhile, and then leaves no key", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    await commit(store, [put("a", "newer")]);
    const precondition = { kind: "unchanged", id: flagId("a"), revision: 1n } as const;
    const result = await store.commit(transaction([], { idempotency, preconditions: [precondition] }));
    expect(result).toEqual({ kind: "conflict", precondition, headRevision: 2n });
    expect(await store.findIdempotent(idempotency.key)).toBeUndefined();
  });

  it("is kept once for concurrent repetitions, and all see what it was decided on", async () => {
    const store = await open();
    const changed = store.commit(transaction([put("a")]));
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { kind } = await store.commit(transaction([], { idempotency }));
        return [kind, store.edges().newest];
      }),
    );
    await changed;
    expect(answers.map(([kind]) => kind).sort()).toEqual([...Array(7).fill("repeated"), "unchanged"]);
    expect(answers.map(([, newest]) => newest)).toEqual(Array(8).fill(1n));
  });

  it("pushes out the key of the oldest such, and of no other, beyond as many as history keeps at most", async () => {
    const store = await open({ history: { maxEntries: 3 } });
    await store.commit(transaction([put("a")], { idempotency }));
    const keys = ["1", "2", "3", "4", "5"];
    for (const key of keys) await store.commit(nothing(key));
    expect(await known(store, [idempotency.key, ...keys])).toEqual([idempotency.key, "3", "4", "5"]);
    expect(await store.commit(nothing("1"))).toEqual({ kind: "unchanged", revision: 1n });
    expect(await known(store, keys)).toEqual(["1", "4", "5"]);
  });

  it("is forgotten after as many transactions as history keeps at most", async () => {
    const store = await open({ history: { maxEntries: 2 } });
    await store.commit(nothing("0"));
    await commit(store, [put("a")]);
    await store.commit(nothing("1"));
    expect(await known(store, ["0", "1"])).toEqual(["0", "1"]);
    await commit(store, [put("b")]);
    expect(await known(store, ["0", "1"])).toEqual(["1"]);
    await commit(store, [put("c")]);
    expect(await known(store, ["0", "1"])).toEqual([]);
    expect(await store.commit(nothing("1"))).toEqual({ kind: "unchanged", revision: 3n });
  });

  it("keeps the newest key whatever the bounds", async () => {
    const store = await open({ history: { maxBytes: 1, maxEntries: 0 } });
    await store.commit(nothing("1"));
    await store.commit(nothing("2"));
    expect(await known(store, ["1", "2"])).toEqual(["2"]);
  });

  it("is not taken by a store that is closed", async () => {
    const store = await open();
    await store.close();
    expect(await store.commit(nothing("k"))).toMatchObject({ kind: "unavailable", uncertain: false });
  });
}

function describeHistory(open: OpenFreshStore): void {
  it("tells who changed what, when and why", async () => {
    const store = await open();
    const id = targetingId("production", "a");
    const rest = { timeMs: 1_765_432_100_123, author: "bob", comment: "ship it" };
    await store.commit(transaction([{ id, after: targetingRecord("production", "a") }], rest));
    const [entry] = await historyOf(store);
    expect(entry).toMatchObject({ revision: 1n, author: "bob", comment: "ship it", omittedChanges: 0 });
    expect(entry?.time).toMatchObject({ seconds: 1_765_432_100n, nanos: 123_000_000 });
    expect(entry?.changes[0]).toMatchObject({ key: "a", environment: "production" });
  });

  it("tells what was before and after: created, changed, deleted", async () => {
    const store = await open();
    await commit(store, [put("a", "one")]);
    await commit(store, [put("a", "two")]);
    await commit(store, [remove("a")]);
    const changes = (await historyOf(store)).reverse().map((entry) => entry.changes[0]);
    const sides = changes.map((change) => [change?.before?.kind.value, change?.after?.kind.value]);
    expect(sides[0]).toMatchObject([undefined, { description: "one", revision: 1n }]);
    expect(sides[1]).toMatchObject([
      { description: "one", revision: 1n },
      { description: "two", revision: 2n },
    ]);
    expect(sides[2]).toMatchObject([{ description: "two", revision: 2n }, undefined]);
    expect(changes[2]?.key).toBe("a");
  });

  it("goes from the newest to the oldest, and from below a revision", async () => {
    const store = await open();
    for (const key of ["a", "b", "c"]) await commit(store, [put(key)]);
    expect((await historyOf(store)).map((entry) => entry.revision)).toEqual([3n, 2n, 1n]);
    expect((await historyOf(store, 3n)).map((entry) => entry.revision)).toEqual([2n, 1n]);
    expect((await historyOf(store, 1n)).map((entry) => entry.revision)).toEqual([]);
    expect((await historyOf(store, 100n)).map((entry) => entry.revision)).toEqual([3n, 2n, 1n]);
  });

  it.each([0, 1_024])("tells in outline what it tells in full, with %i transactions in memory", async (maxEntries) => {
    const store = await open({ window: { maxEntries } });
    await commit(store, [put("a"), put("b")]);
    await commit(store, [
      { id: targetingId("production", "a"), after: targetingRecord("production", "a") },
      { id: segmentId("production", "beta"), after: segmentRecord("production", "beta") },
      { id: environmentId("staging"), after: environmentRecord("staging") },
      { id: reservedKeyId("old"), after: reservedKeyRecord("old") },
    ]);
    await commit(store, [put("a", "new"), remove("b"), { id: segmentId("production", "beta"), after: undefined }]);
    await commit(store, [put("c")]);
    const outlines = await outlinesOf(store);
    expect(outlines.map(({ revision, changes }) => [revision, ...changes])).toEqual([
      [4n, { kind: "flag", key: "c", environment: "", isDeletion: false }],
      [
        3n,
        { kind: "flag", key: "a", environment: "", isDeletion: false },
        { kind: "flag", key: "b", environment: "", isDeletion: true },
        { kind: "segment", key: "beta", environment: "production", isDeletion: true },
      ],
      [
        2n,
        { kind: "targeting", key: "a", environment: "production", isDeletion: false },
        { kind: "segment", key: "beta", environment: "production", isDeletion: false },
        { kind: "environment", key: "staging", environment: "", isDeletion: false },
        { kind: "reservedKey", key: "old", environment: "", isDeletion: false },
      ],
      [
        1n,
        { kind: "flag", key: "a", environment: "", isDeletion: false },
        { kind: "flag", key: "b", environment: "", isDeletion: false },
      ],
    ]);
    expect(outlines.map(({ entry }) => entry)).toEqual(await historyOf(store));
    expect((await outlinesOf(store, 3n)).map(({ revision }) => revision)).toEqual([2n, 1n]);
  });

  it("gives an entry from storage without the keys of large segments where that is asked for", async () => {
    const store = await open({ window: { maxEntries: 1, maxBytes: 1 } });
    const id = segmentId("production", "beta");
    await commit(store, [{ id, after: segmentRecord("production", "beta", ["u1", "u2"]) }, put("a", "x".repeat(100))]);
    await commit(store, [put("b")]);
    const segmentsOf = async (maxSegmentBytes?: number) => {
      const segments: unknown[] = [];
      for await (const outline of store.outlines(2n)) {
        segments.push(outline.entry(maxSegmentBytes).changes[0]?.after?.kind.value);
      }
      return segments;
    };
    const whole = { key: "beta", included: ["u1", "u2"], includedCount: 0, keysOmitted: false };
    expect(await segmentsOf()).toMatchObject([whole]);
    expect(await segmentsOf(100)).toMatchObject([whole]);
    const counted = { key: "beta", revision: 1n, included: [], includedCount: 2, keysOmitted: true };
    expect(await segmentsOf(5)).toMatchObject([counted]);
  });
}

function describeTail(open: OpenFreshStore): void {
  it("gives every transaction after a revision, from any revision", async () => {
    const store = await open();
    for (const key of ["a", "b", "c", "d"]) await commit(store, [put(key)]);
    for (const after of [0n, 1n, 2n, 3n]) {
      const entries = await tailed(store, after, Number(4n - after));
      expect(entries[0]?.revision).toBe(after + 1n);
      expect(entries.map((entry) => entry.changes[0]?.key)).toEqual(["a", "b", "c", "d"].slice(Number(after)));
    }
  });

  it("reads what is no longer in memory from storage", async () => {
    const store = await open({ window: { maxEntries: 2 } });
    for (let i = 1; i <= 10; i++) await commit(store, [put("a", `change ${i}`)]);
    const entries = await tailed(store, 0n, 10);
    expect(entries.map((entry) => entry.revision)).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
    expect(entries[0]?.changes[0]?.after?.kind.value).toMatchObject({ description: "change 1" });
  });

  it("works where nothing fits into memory", async () => {
    const store = await open({ window: { maxBytes: 1 } });
    for (let i = 1; i <= 3; i++) await commit(store, [put("a", `change ${i}`)]);
    expect(await tailed(store, 0n, 3)).toHaveLength(3);
  });

  it("goes on with transactions that are committed later", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    const entries = tailed(store, 0n, 4);
    await commit(store, [put("b")]);
    await Promise.all([commit(store, [put("c")]), commit(store, [put("d")])]);
    expect((await entries).map((entry) => entry.revision)).toEqual([1n, 2n, 3n, 4n]);
  });

  it("waits for a revision that is yet to come, and skips those before it", async () => {
    const store = await open();
    const entries = tailed(store, 2n, 1);
    for (const key of ["a", "b", "c"]) await commit(store, [put(key)]);
    expect((await entries)[0]?.revision).toBe(3n);
  });

  it("shows a transaction to all tails, whatever their pace", async () => {
    const store = await open({ window: { maxEntries: 3 } });
    const live = tailed(store, 0n, 20);
    const stop = new AbortController();
    const slow = store.tail(0n, stop.signal)[Symbol.asyncIterator]();
    for (let i = 0; i < 20; i++) await commit(store, [put("a", `change ${i}`)]);
    expect(await live).toHaveLength(20);
    for (let i = 1n; i <= 20n; i++) expect((await slow.next()).value?.revision).toBe(i);
    stop.abort();
  });

  it("ends without an error when it is aborted, waiting or not", async () => {
    const store = await open();
    await commit(store, [put("a")]);
    const stop = new AbortController();
    const iterator = store.tail(0n, stop.signal)[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.revision).toBe(1n);
    const waiting = iterator.next();
    stop.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await store.tail(0n, stop.signal)[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  });
}

function describeBounds(open: OpenFreshStore): void {
  it("keeps the newest transactions within the count", async () => {
    const store = await open({ history: { maxEntries: 3 } });
    for (let i = 1; i <= 5; i++) await commit(store, [put("a", `change ${i}`)]);
    expect(store.edges()).toEqual({ oldest: 3n, newest: 5n });
    expect((await historyOf(store)).map((entry) => entry.revision)).toEqual([5n, 4n, 3n]);
    expect((await store.load()).revision).toBe(5n);
  });

  it("keeps the newest transactions within the size", async () => {
    const store = await open({ history: { maxBytes: 3_500 } });
    const large = "x".repeat(1_000);
    for (let i = 1; i <= 5; i++) await commit(store, [put(`flag-${i}`, large)]);
    expect(store.edges()).toEqual({ oldest: 3n, newest: 5n });
  });

  it("keeps the newest transaction whatever its size", async () => {
    const store = await open({ history: { maxBytes: 1, maxEntries: 0 } });
    for (let i = 1; i <= 3; i++) await commit(store, [put("a", `change ${i}`)]);
    expect(store.edges()).toEqual({ oldest: 3n, newest: 3n });
    expect(await tailed(store, 2n, 1)).toHaveLength(1);
  });

  it("refuses to tail from before what is kept, and names the edge", async () => {
    const store = await open({ history: { maxEntries: 3 } });
    for (let i = 1; i <= 5; i++) await commit(store, [put("a", `change ${i}`)]);
    const refused = await tailed(store, 1n, 1).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HistoryCompacted);
    expect(refused).toMatchObject({ asked: 2n, oldest: 3n });
    expect((await tailed(store, 2n, 3)).map((entry) => entry.revision)).toEqual([3n, 4n, 5n]);
  });

  it("ends a tail that falls behind what is kept", async () => {
    const store = await open({ history: { maxEntries: 3 } });
    await commit(store, [put("a")]);
    const iterator = store.tail(0n, new AbortController().signal)[Symbol.asyncIterator]();
    await iterator.next();
    for (let i = 2; i <= 6; i++) await commit(store, [put("a", `change ${i}`)]);
    await expect(iterator.next()).rejects.toBeInstanceOf(HistoryCompacted);
  });
}

function describeClose(open: OpenFreshStore): void {
  it("finishes what was accepted, and accepts nothing more", async () => {
    const store = await open();
    const accepted = [commit(store, [put("a")]), commit(store, [put("b")])];
    const closed = store.close();
    expect(await store.commit(transaction([put("c")]))).toMatchObject({ kind: "unavailable", uncertain: false });
    expect(await Promise.all(accepted)).toEqual([1n, 2n]);
    await closed;
    expect(await store.commit(transaction([put("c")]))).toMatchObject({ kind: "unavailable", uncertain: false });
  });

  it("ends the tails", async () => {
    const store = await open();
    const waiting = store.tail(0n, new AbortController().signal)[Symbol.asyncIterator]().next();
    await store.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await tailed(store, 0n, 1)).toEqual([]);
  });

  it("can be done twice", async () => {
    const store = await open();
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });

  it("leaves nothing to be read", async () => {
    const store = await open({ window: { maxEntries: 0 } });
    await commit(store, [put("a")]);
    await store.close();
    await expect(store.load()).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.findIdempotent("k")).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(historyOf(store)).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(outlinesOf(store)).rejects.toBeInstanceOf(StoreUnavailable);
  });
}
