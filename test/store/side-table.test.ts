import { expect, it, onTestFinished } from "vitest";
import { openMemoryStore } from "../../src/store/index.js";
import { openStore, temporaryDirectory } from "./fixtures.js";

const stores = {
  async memory() {
    const store = await openMemoryStore();
    onTestFinished(() => store.close());
    return store;
  },
  async disk() {
    return openStore(await temporaryDirectory());
  },
};

it.each(["memory", "disk"] as const)("texts beside a log are read by what their keys begin with: %s", async (kind) => {
  const { side } = await stores[kind]();
  const keys = ["a", "b/", "b/1", "b/é", "b0", "c/1"];
  await side?.write(keys.map((key) => [key, `of ${key}`]));
  expect(side?.entries("b/")).toEqual([
    ["b/1", "of b/1"],
    ["b/é", "of b/é"],
  ]);
  expect(side?.entries("d/")).toEqual([]);
  expect(side?.entries()).toHaveLength(keys.length);
});
