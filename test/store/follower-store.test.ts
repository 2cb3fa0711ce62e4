import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { openFollowerStore } from "../../src/store/index.js";
import { commit, put, segmentRecord, tailed, temporaryDirectory, transaction } from "./fixtures.js";
import { OwnerProcess } from "./followed-store.js";

async function startOwner(): Promise<OwnerProcess> {
  const owner = await OwnerProcess.start();
  onTestFinished(() => owner.stop());
  return owner;
}

describe("a follower", () => {
  it("does not know whether a commit was kept whose owner went away, and then knows that none is", async () => {
    const owner = await startOwner();
    const store = await owner.follow();
    await commit(store, [put("a")]);
    owner.child.kill("SIGSTOP");
    const inFlight = store.commit(transaction([put("b")]));
    const exited = once(owner.child, "exit");
    owner.child.kill("SIGKILL");
    expect(await inFlight).toMatchObject({ kind: "unavailable", uncertain: true });
    await exited;
    expect(await store.commit(transaction([put("c")]))).toMatchObject({ kind: "unavailable", uncertain: false });
    expect((await store.load()).revision).toBe(1n);
  }, 60_000);

  it("carries a segment of a million keys there and back", async () => {
    const store = await (await startOwner()).follow();
    const keys = Array.from({ length: 1_000_000 }, (_, user) => `user-${user}`);
    const after = segmentRecord("production", "large", keys);
    await store.commit(transaction([{ id: "segment/production/large", after }]));
    const [entry] = await tailed(store, 0n, 1);
    expect(entry?.changes[0]?.after?.kind.value).toMatchObject({ included: { length: 1_000_000 } });
  }, 60_000);

  it("says where there is no store to follow", async () => {
    const owner = {
      commit: () => Promise.reject(new Error("none")),
      seenByAll: () => Promise.reject(new Error("none")),
      follow: () => () => true,
      failed: new Promise<never>(() => {}),
    };
    const path = await temporaryDirectory();
    expect(await openFollowerStore({ path, owner })).toMatchObject({ kind: "not-found" });
  });
});
