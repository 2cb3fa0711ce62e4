import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { backUpStore, isStoreProblem, openLmdbStore, type Store, verifyStore } from "../../src/store/index.js";
import { commit, put } from "../store/fixtures.js";

async function newDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-side-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function open(path: string, options: { minFreeBytes?: number; readOnly?: boolean } = {}): Promise<Store> {
  const store = await openLmdbStore({ path, minFreeBytes: 0, ...options });
  if (isStoreProblem(store)) throw new Error(store.message);
  onTestFinished(() => store.close());
  return store;
}

const rows = (store: Store) => store.side?.entries().map(([key, text]) => `${key}=${text}`);

it("what is kept beside the log outlasts a restart, in order, and makes no revision", async () => {
  const path = await newDirectory();
  const store = await open(path);
  await commit(store, [put("a")]);
  expect(
    await store.side?.write([
      ["b", "1"],
      ["a", "ü"],
      ["c", ""],
    ]),
  ).toBe(true);
  expect(
    await store.side?.write([
      ["b", undefined],
      ["nope", undefined],
    ]),
  ).toBe(true);
  expect(store.edges().newest).toBe(1n);
  await store.close();
  const next = await open(path);
  expect(rows(next)).toEqual(["a=ü", "c="]);
  expect(await commit(next, [put("b")])).toBe(2n);
});

it("what is kept beside the log is neither verified nor copied, and read-only stores have none", async () => {
  const path = await newDirectory();
  const store = await open(path);
  await commit(store, [put("a")]);
  await store.side?.write([["a", "1"]]);
  expect(await verifyStore(path)).toMatchObject({ problemCount: 0 });
  const copy = join(await newDirectory(), "copy");
  expect(await backUpStore({ from: path, to: copy })).toMatchObject({ headRevision: 1n, problemCount: 0 });
  expect(rows(await open(copy))).toEqual([]);
  expect((await open(path, { readOnly: true })).side).toBeUndefined();
});

it("what is kept beside the log is refused where the disk is nearly full or the store has ended, which harms nothing", async () => {
  const path = await newDirectory();
  const store = await open(path, { minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(await store.side?.write([["a", "1"]])).toBe(false);
  expect(rows(store)).toEqual([]);
  await store.close();
  expect(await store.side?.write([["a", "1"]])).toBe(false);
  expect(() => store.side?.entries()).toThrow("the store is closed");
});
