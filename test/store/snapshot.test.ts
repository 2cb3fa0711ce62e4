import { describe, expect, it, onTestFinished } from "vitest";
import { openLmdbTables } from "../../src/store/lmdb-tables.js";
import { createMemoryTables } from "../../src/store/memory-tables.js";
import { isStoreProblem } from "../../src/store/store-problem.js";
import type { ReadableTable, Tables } from "../../src/store/tables.js";
import { temporaryDirectory } from "./fixtures.js";

async function lmdbTables(): Promise<Tables> {
  const opened = await openLmdbTables(await temporaryDirectory(), { readOnly: false });
  if (isStoreProblem(opened)) throw new Error(opened.message);
  onTestFinished(() => opened.tables.close());
  return opened.tables;
}

const put = (tables: Tables, key: string, value: string) =>
  tables.transact(() => tables.records.put(Buffer.from(key), Buffer.from(value)));

function textsOf(table: ReadableTable, after?: string): string[] {
  const entries = [...table.entries(after === undefined ? undefined : Buffer.from(after))];
  return entries.map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`);
}

const adapters: readonly [string, () => Promise<Tables>][] = [
  ["tables in memory", async () => createMemoryTables()],
  ["tables on disk", lmdbTables],
];

describe.for(adapters)("a snapshot of %s", ([, open]) => {
  it("stays as it was, turn after turn", async () => {
    const tables = await open();
    for (const key of ["a", "b", "c"]) await put(tables, key, "1");
    const snapshot = tables.snapshot();
    await put(tables, "a", "2");
    await tables.transact(() => tables.records.remove(Buffer.from("b")));
    await new Promise((resolve) => setImmediate(resolve));
    expect(textsOf(snapshot.records)).toEqual(["a=1", "b=1", "c=1"]);
    expect(Buffer.from(snapshot.records.get(Buffer.from("a")) ?? "").toString()).toBe("1");
    tables.refresh();
    expect(textsOf(tables.records)).toEqual(["a=2", "c=1"]);
    snapshot.release();
  });

  it("is read on from any key, there or not", async () => {
    const tables = await open();
    for (const key of ["a", "b", "d"]) await put(tables, key, "1");
    const snapshot = tables.snapshot();
    expect(textsOf(snapshot.records, "a")).toEqual(["b=1", "d=1"]);
    expect(textsOf(snapshot.records, "c")).toEqual(["d=1"]);
    expect(textsOf(snapshot.records, "d")).toEqual([]);
    snapshot.release();
  });
});
