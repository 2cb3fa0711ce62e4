import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { systemClock } from "../../src/base/index.js";
import { PastSnapshots } from "../../src/server/past-snapshots.js";
import { Head } from "../../src/server/state/head.js";
import { environmentId, flagId, openMemoryStore } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { commit, environmentRecord } from "../store/fixtures.js";

const { signal } = new AbortController();

function flagOf(value: string) {
  const flag = { key: "f", type: FlagType.STRING, variants: { v: { kind: { case: "stringValue", value } as const } } };
  return create(RecordSchema, { kind: { case: "flag", value: create(FlagSchema, flag) } });
}

it("past states are kept while they are small together, and at least the newest", async () => {
  const store = await openMemoryStore();
  onTestFinished(() => store.close());
  await commit(store, [{ id: environmentId("production"), after: environmentRecord("production") }]);
  for (const letter of ["a", "b", "c", "d"]) {
    await commit(store, [{ id: flagId("f"), after: flagOf(letter.repeat(1_000)) }]); // 2 to 5
  }
  const head = await Head.open(store, createWatchHub({ clock: systemClock, random: () => 0.5 }));
  onTestFinished(() => head.close());
  const open = (maxKeptBytes: number) => {
    const snapshots = new PastSnapshots(head, systemClock, maxKeptBytes);
    return (revision: bigint) => snapshots.at("production", revision, "f", signal);
  };
  const few = open(2_500);
  const [second, third] = [await few(2n), await few(3n)];
  expect(await few(2n)).toBe(second);
  expect(await few(3n)).toBe(third);
  await few(4n);
  expect(await few(3n)).toBe(third);
  expect(await few(2n)).not.toBe(second);
  const one = open(0);
  expect(await one(2n)).toBe(await one(2n));
});
