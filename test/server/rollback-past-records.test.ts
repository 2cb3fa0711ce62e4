import { expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/base/index.js";
import { PastRecords } from "../../src/server/admin/past-records.js";
import { Refusal } from "../../src/server/refusal.js";
import { Head } from "../../src/server/state/head.js";
import { flagId, openMemoryStore, type Store } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { commit, flagRecord } from "../store/fixtures.js";

const { signal } = new AbortController();
const wanted = () => true;

/** A head on a store to which the flag `a` was written under these descriptions, one a revision. */
async function openHead(descriptions: readonly string[], store: Store): Promise<Head> {
  for (const description of descriptions) await write(store, description);
  const head = await Head.open(store, createWatchHub({ clock: systemClock, random: () => 0.5 }));
  onTestFinished(() => head.close());
  return head;
}

async function openStore(maxEntries = 100): Promise<Store> {
  const store = await openMemoryStore({ history: { maxEntries }, window: { maxEntries: 1 } });
  onTestFinished(() => store.close());
  return store;
}

const write = (store: Store, description: string) =>
  commit(store, [{ id: flagId("a"), after: flagRecord("a", description) }]);
const described = (past: PastRecords) => past.catalog.flag("a")?.description;

it("what was then is still known when more has happened since it was read", async () => {
  const store = await openStore();
  const head = await openHead(["one", "two", "three"], store);
  const past = new PastRecords(head, 1n, wanted);
  expect(past.isCurrent).toBe(false);
  expect(await past.read(signal, "f")).toBeUndefined();
  expect([past.isCurrent, described(past)]).toEqual([true, "one"]);
  await write(store, "four");
  await head.reached(4n);
  expect(past.isCurrent).toBe(false);
  expect(await past.read(signal, "f")).toBeUndefined();
  expect([past.isCurrent, described(past)]).toEqual([true, "one"]);
});

it("history that is dropped while it is read is told as such, and nothing is made of what is left", async () => {
  const store = await openStore(4);
  const trimmed: Store = new Proxy(store, {
    get(target, property) {
      if (property === "outlines") {
        return async function* () {
          for await (const outline of target.outlines()) {
            yield outline;
            if (outline.revision === 4n) for (const text of ["five", "six", "seven"]) await write(target, text);
          }
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const head = await openHead(["one", "two", "three", "four"], trimmed);
  const refusal = await new PastRecords(head, 1n, wanted).read(signal, "to_revision");
  expect(refusal).toMatchObject({ reason: "HISTORY_COMPACTED", details: { violations: [{ field: "to_revision" }] } });
});

it("reading ends when nobody waits for it", async () => {
  const head = await openHead(["one", "two"], await openStore());
  const refusal = await new PastRecords(head, 1n, wanted).read(AbortSignal.abort(), "f");
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal?.reason).toBe("CANCELLED");
});
