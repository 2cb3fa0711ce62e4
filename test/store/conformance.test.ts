import { onTestFinished } from "vitest";
import { openMemoryStore } from "../../src/store/index.js";
import { describeStore } from "./conformance.js";
import { openStore, temporaryDirectory } from "./fixtures.js";

describeStore("a store in memory", async (options) => {
  const store = await openMemoryStore(options);
  onTestFinished(() => store.close());
  return store;
});

describeStore("a store on disk", async (options) => openStore(await temporaryDirectory(), options));
