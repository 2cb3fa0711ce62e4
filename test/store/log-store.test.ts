import { describe, expect, it } from "vitest";
import { initializeTables } from "../../src/store/initialize-tables.js";
import { LogStore } from "../../src/store/log-store.js";
import { createMemoryTables } from "../../src/store/memory-tables.js";
import { resolveBounds } from "../../src/store/store-options.js";
import type { Tables } from "../../src/store/tables.js";
import { put, transaction } from "./fixtures.js";

/** A store whose writes become durable, or fail, when the test says so. */
async function openHeldStore(
  disk: { readonly freeBytes: number; readonly minFreeBytes: number } | undefined = undefined,
) {
  const memory = createMemoryTables();
  await initializeTables(memory, "epoch");
  const held: { readonly sync: () => void; readonly fail: (cause: Error) => void }[] = [];
  const tables: Tables = {
    ...memory,
    freeBytes: () => disk?.freeBytes ?? Number.POSITIVE_INFINITY,
    async transact(action) {
      const result = action();
      await new Promise<void>((resolve, reject) => held.push({ sync: resolve, fail: reject }));
      return result;
    },
  };
  const release = async () => undefined;
  const store = new LogStore(tables, {
    ...resolveBounds({}),
    minFreeBytes: disk?.minFreeBytes ?? 0,
    readOnly: false,
    release,
  });
  return { store, held, memory };
}

const idle = () => new Promise((resolve) => setImmediate(resolve));

describe("a store whose disk is slow", () => {
  it("shows nothing before it is durable", async () => {
    const { store, held } = await openHeldStore();
    const stop = new AbortController();
    const next = store.tail(0n, stop.signal)[Symbol.asyncIterator]().next();
    const seen: string[] = [];
    void next.then(() => seen.push("tail"));
    const committed = store.commit(transaction([put("a")]));
    void committed.then(() => seen.push("commit"));
    await idle();
    expect(seen).toEqual([]);
    expect(store.edges().newest).toBe(0n);
    held[0]?.sync();
    expect(await committed).toEqual({ kind: "committed", revision: 1n });
    expect((await next).value?.revision).toBe(1n);
    expect(store.edges().newest).toBe(1n);
  });

  it("shows transactions in order even where a later one is acknowledged first", async () => {
    const { store, held } = await openHeldStore();
    const commits = [store.commit(transaction([put("a")])), store.commit(transaction([put("b")]))];
    held[1]?.sync();
    await commits[1];
    expect(store.edges().newest).toBe(2n);
    held[0]?.sync();
    expect(await Promise.all(commits)).toEqual([
      { kind: "committed", revision: 1n },
      { kind: "committed", revision: 2n },
    ]);
    const stop = new AbortController();
    const revisions: bigint[] = [];
    for await (const entry of store.tail(0n, stop.signal)) {
      revisions.push(entry.revision);
      if (entry.revision === 2n) stop.abort();
    }
    expect(revisions).toEqual([1n, 2n]);
  });
});

describe("a write that changes nothing, on a slow disk", () => {
  const nothing = transaction([], { idempotency: { key: "k", fingerprint: "f" } });

  it("is answered when its key is durable, and by then shows what it was decided on", async () => {
    const { store, held } = await openHeldStore();
    void store.commit(transaction([put("a")]));
    const seen: string[] = [];
    const answered = store.commit(nothing);
    void answered.then(() => seen.push("answered"));
    await idle();
    expect(seen).toEqual([]);
    held[1]?.sync();
    expect(await answered).toEqual({ kind: "unchanged", revision: 1n });
    expect(store.edges().newest).toBe(1n);
  });

  it("is uncertain where the disk fails, and stops the store", async () => {
    const { store, held } = await openHeldStore();
    const answered = store.commit(nothing);
    const after = store.commit(transaction([put("a")]));
    held[0]?.fail(new Error("EIO"));
    expect(await answered).toMatchObject({ kind: "unavailable", uncertain: true });
    expect(await store.failed).toMatchObject({ message: expect.stringContaining("EIO") });
    held[1]?.sync();
    expect(await after).toMatchObject({ kind: "unavailable", uncertain: true });
    expect(store.edges().newest).toBe(0n);
  });
});

describe("a store whose disk is nearly full", () => {
  it("counts an idempotency key that is not on disk yet as used", async () => {
    const { store, held } = await openHeldStore({ freeBytes: 50_000, minFreeBytes: 10_000 });
    const keep = (key: string) =>
      store.commit(transaction([], { idempotency: { key, fingerprint: "x".repeat(25_000) } }));
    const answers = [keep("a"), keep("b")];
    for (const { sync } of held.splice(0)) sync();
    expect(await Promise.all(answers)).toMatchObject([{ kind: "unchanged" }, { kind: "low-disk" }]);
    const third = keep("c");
    for (const { sync } of held.splice(0)) sync();
    expect(await third).toMatchObject({ kind: "unchanged" });
  });

  it("counts what is not on disk yet as used", async () => {
    const { store, held } = await openHeldStore({ freeBytes: 50_000, minFreeBytes: 10_000 });
    const large = (key: string) => transaction([put(key, "x".repeat(10_000))]);
    const first = store.commit(large("a"));
    const second = store.commit(large("b"));
    for (const { sync } of held.splice(0)) sync();
    expect(await first).toMatchObject({ kind: "committed" });
    expect(await second).toMatchObject({ kind: "low-disk", freeBytes: 50_000 });
    const third = store.commit(large("c"));
    for (const { sync } of held.splice(0)) sync();
    expect(await third).toMatchObject({ kind: "committed", revision: 2n });
  });
});

describe("what is urgent", () => {
  it("is written where other things are refused, down to a quarter of the space", async () => {
    const { store, held } = await openHeldStore({ freeBytes: 50_000, minFreeBytes: 100_000 });
    const idempotency = { key: "kill", fingerprint: "f" };
    const answers = [
      store.commit(transaction([put("a")])),
      store.commit({ ...transaction([put("a")]), isUrgent: true }),
      store.commit({ ...transaction([], { idempotency }), isUrgent: true }),
    ];
    for (const { sync } of held.splice(0)) sync();
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    expect(kinds).toEqual(["low-disk", "committed", "unchanged"]);
    const fuller = await openHeldStore({ freeBytes: 24_999, minFreeBytes: 100_000 });
    const refused = fuller.store.commit({ ...transaction([put("a")]), isUrgent: true });
    for (const { sync } of fuller.held.splice(0)) sync();
    expect(await refused).toMatchObject({ kind: "low-disk" });
  });
});

describe("a store whose disk fails", () => {
  it("acknowledges nothing any more, and says so", async () => {
    const { store, held } = await openHeldStore();
    const first = store.commit(transaction([put("a")]));
    const second = store.commit(transaction([put("b")]));
    held[0]?.fail(new Error("EIO"));
    expect(await first).toMatchObject({ kind: "unavailable", uncertain: true });
    expect(await store.failed).toMatchObject({ message: expect.stringContaining("EIO") });
    held[1]?.sync();
    expect(await second).toMatchObject({ kind: "unavailable", uncertain: true });
    expect(await store.commit(transaction([put("c")]))).toMatchObject({ kind: "unavailable", uncertain: false });
    expect(store.edges().newest).toBe(0n);
    await store.close();
  });

  it("puts nothing in the place of a transaction that was lost", async () => {
    const { store, held, memory } = await openHeldStore();
    const lost = store.commit(transaction([put("a")]));
    // What a failed write leaves behind before its promise tells of it.
    memory.meta.put(Buffer.from("head"), Buffer.from("0"));
    expect(await store.commit(transaction([put("b")]))).toMatchObject({ kind: "unavailable" });
    held[0]?.fail(new Error("EIO"));
    expect(await lost).toMatchObject({ kind: "unavailable", uncertain: true });
    expect(memory.records.get(Buffer.from("flag/b"))).toBeUndefined();
  });
});
