import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { ListHistoryRequestSchema, type ListHistoryResponse } from "../../gen/flagwire/v1/admin_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { historyHandler } from "../../src/server/admin/history.js";
import { Writer } from "../../src/server/admin/writer.js";
import { noContexts } from "../../src/server/contexts/kept-contexts.js";
import { Head } from "../../src/server/state/head.js";
import { openMemoryStore, type Store } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { commit, put } from "../store/fixtures.js";

/** What is read of a store's history. */
interface Reading {
  readonly looked: bigint[];
  readonly decoded: bigint[];
}

/** Notes what is read; `onLook` is called with each revision that is looked at. */
function observed(store: Store, reading: Reading, onLook: (revision: bigint) => void): Store {
  return new Proxy(store, {
    get(target, property) {
      if (property === "outlines") {
        return async function* (before?: bigint) {
          for await (const outline of target.outlines(before)) {
            const { revision } = outline;
            reading.looked.push(revision);
            onLook(revision);
            const entry = (maxSegmentBytes?: number) => {
              reading.decoded.push(revision);
              return outline.entry(maxSegmentBytes);
            };
            yield { ...outline, entry };
          }
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Lists history of the flags `a` to `e`, each of which a transaction created, and tells what was read for it. */
async function list(request: { flagKey?: string; pageSize?: number }, onLook: (revision: bigint) => void = () => {}) {
  const store = await openMemoryStore();
  onTestFinished(() => store.close());
  for (const key of ["a", "b", "c", "d", "e"]) await commit(store, [put(key)]);
  const reading: Reading = { looked: [], decoded: [] };
  const hub = createWatchHub({ clock: systemClock, random: () => 0.5 });
  const head = await Head.open(observed(store, reading, onLook), hub);
  onTestFinished(() => head.close());
  const leaving = new AbortController();
  const call = { signal: leaving.signal, header: () => undefined, peer: "" };
  const handler = historyHandler({ head, writer: new Writer(head, systemClock), contexts: noContexts });
  return { reading, leaving, answer: () => handler(create(ListHistoryRequestSchema, request), call) };
}

it("a search of history decodes only what it shows", async () => {
  const { reading, answer } = await list({ flagKey: "b" });
  const { entries } = (await answer()) as ListHistoryResponse;
  expect(entries.map(({ revision }) => revision)).toEqual([2n]);
  expect(reading).toEqual({ looked: [5n, 4n, 3n, 2n, 1n], decoded: [2n] });
});

it("a page of history decodes nothing beyond its end", async () => {
  const { reading, answer } = await list({ pageSize: 2 });
  expect(await answer()).toMatchObject({ entries: { length: 2 }, nextPageToken: "4" });
  expect(reading.decoded).toEqual([5n, 4n]);
});

it("a search of history ends when the caller has gone", async () => {
  const { reading, leaving, answer } = await list({ flagKey: "none" }, (revision) => {
    if (revision === 4n) leaving.abort();
  });
  expect(await answer()).toMatchObject({ code: "CANCELLED" });
  expect(reading.looked).toEqual([5n, 4n]);
});
