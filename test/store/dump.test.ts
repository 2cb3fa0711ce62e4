import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DumpItem, type DumpOptions, dumpStore } from "../../src/store/index.js";
import { editTables } from "./edit-tables.js";
import { commit, historyOf, openStore, put, remove, temporaryDirectory, transaction } from "./fixtures.js";

async function worked(): Promise<string> {
  const path = await temporaryDirectory();
  const store = await openStore(path);
  await store.commit(transaction([put("a"), put("b")], { idempotency: { key: "k", fingerprint: "f" } }));
  await commit(store, [remove("b")]);
  await commit(store, [put("c")]);
  await store.commit(transaction([], { idempotency: { key: "unchanged", fingerprint: "f" } }));
  await store.close();
  return path;
}

async function dumped(path: string, options: DumpOptions = {}): Promise<DumpItem[]> {
  const items: DumpItem[] = [];
  for await (const item of dumpStore(path, options)) items.push(item);
  return items;
}

const kinds = (items: readonly DumpItem[]) => items.map(({ kind }) => kind).join(" ");

describe("a dump", () => {
  it("has the header, the records, history and the idempotency keys", async () => {
    const path = await worked();
    const items = await dumped(path);
    expect(kinds(items)).toBe("header record record history history history idempotency idempotency");
    const store = await openStore(path, { readOnly: true });
    const header = { formatVersion: "1", epoch: store.epoch, headRevision: "3", oldestRevision: "1" };
    expect(items[0]).toMatchObject({ header });
    const entries = items.flatMap((item) => (item.kind === "history" ? [item.entry] : []));
    expect(entries).toEqual((await historyOf(store)).reverse());
    const writes = items.flatMap((item) => (item.kind === "idempotency" ? [item.write] : []));
    expect(writes.toSorted((a, b) => Number(a.revision - b.revision))).toEqual([
      { key: "k", fingerprint: "f", revision: 1n },
      { key: "unchanged", fingerprint: "f", revision: 3n },
    ]);
  });

  it("has what is asked for", async () => {
    const path = await worked();
    expect(kinds(await dumped(path, { history: false }))).toBe("header record record");
    expect(kinds(await dumped(path, { records: false, from: 2n }))).toBe("header history history");
    expect(kinds(await dumped(path, { records: false, from: 9n }))).toBe("header");
  });

  it("tells damage by its place, and goes on behind it", async () => {
    const path = await worked();
    await editTables(path, ({ records, history, idempotency }) => {
      records.put("flag/a", Buffer.from([7]));
      history.put(Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]), Buffer.from([7]));
      history.put("odd", Buffer.from([7]));
      idempotency.put("x", Buffer.from("{"));
    });
    const items = await dumped(path);
    const damage = items.flatMap((item) => (item.kind === "damage" ? [item.description] : []));
    expect(damage).toEqual([
      expect.stringContaining("record flag/a cannot be decoded"),
      expect.stringContaining("history entry 2 cannot be decoded"),
      expect.stringContaining("history has an entry at 6f6464"),
      expect.stringContaining("idempotency key at 78 cannot be decoded"),
    ]);
    expect(kinds(items.filter(({ kind }) => kind !== "damage"))).toBe(
      "header record history history idempotency idempotency",
    );
  });

  it("reads a store beside its owner, as it was at the beginning", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await commit(store, [put("a")]);
    const items: DumpItem[] = [];
    for await (const item of dumpStore(path)) {
      if (item.kind === "header") await commit(store, [put("b")]);
      items.push(item);
    }
    expect(kinds(items)).toBe("header record history");
  });

  it("says that there is nothing", async () => {
    const [item] = await dumped(join(await temporaryDirectory(), "none"));
    expect(item).toMatchObject({ kind: "problem", problem: { kind: "not-found" } });
  });
});
