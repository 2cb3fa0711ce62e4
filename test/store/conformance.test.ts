import { afterAll, beforeAll, onTestFinished } from "vitest";
import { openMemoryStore } from "../../src/store/index.js";
import { describeStore } from "./conformance.js";
import { openStore, temporaryDirectory } from "./fixtures.js";
import { OwnerProcess } from "./followed-store.js";

let owner: OwnerProcess;
beforeAll(async () => {
  owner = await OwnerProcess.start();
}, 60_000);
afterAll(() => owner.stop());

describeStore("a store in memory", async (options) => {
  const store = await openMemoryStore(options);
  onTestFinished(() => store.close());
  return store;
});

describeStore("a store on disk", async (options) => openStore(await temporaryDirectory(), options));

describeStore("a store that another process owns", (options) => owner.follow(options));
