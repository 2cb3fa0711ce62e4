import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { FlagSchema, ReservedKeySchema } from "../../gen/flagwire/v1/flag_pb.js";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { RecentChanges } from "../../src/server/flagd/recent-changes.js";
import { Catalog } from "../../src/server/state/catalog.js";
import { recordId } from "../../src/store/index.js";
import { snapshotOf } from "../engine/build.js";
import { VirtualClock } from "../support/virtual-clock.js";

const SECOND_MS = 1_000;
const clock = new VirtualClock();
const ago = (seconds: number) => timestampFromMs(clock.now() - seconds * SECOND_MS);

const flag = (key: string, seconds: number) =>
  create(RecordSchema, { kind: { case: "flag", value: create(FlagSchema, { key, changedAt: ago(seconds) }) } });
const settings = (environment: string, flagKey: string, seconds: number) => {
  const value = create(TargetingSchema, { environment, flagKey, changedAt: ago(seconds) });
  return create(RecordSchema, { kind: { case: "targeting", value } });
};
const deleted = (key: string, seconds: number) =>
  create(RecordSchema, {
    kind: { case: "reservedKey", value: create(ReservedKeySchema, { key, deletedAt: ago(seconds) }) },
  });

function recentOf(...records: Record[]): RecentChanges {
  const catalog = Catalog.of(new Map(records.map((record) => [recordId(record) ?? "", record])));
  return new RecentChanges({ catalog }, clock);
}

const inAll = (...environments: string[]) => new Map(environments.map((name) => [name, snapshotOf()]));
const told = (recent: RecentChanges, ...environments: string[]) =>
  recent.events(inAll(...environments)).map(({ type, data }) => ({ [type]: data?.flags }));

test("what changed in the last five minutes is told, and nothing else", () => {
  const recent = recentOf(
    flag("old", 301),
    flag("new", 299),
    flag("set", 9_000),
    settings("production", "set", 299),
    settings("production", "old", 301),
    deleted("gone", 299),
    deleted("long-gone", 301),
  );
  const flags = { new: { type: "update" }, set: { type: "update" }, gone: { type: "delete" } };
  expect(told(recent, "production")).toEqual([{ configuration_change: flags }]);
  expect(told(recentOf(flag("old", 301)), "production")).toEqual([]);
});

test("only the settings of the environments that a stream follows count", () => {
  const recent = recentOf(flag("a", 9_000), settings("staging", "a", 1));
  expect(told(recent, "production")).toEqual([]);
  expect(told(recent, "production", "staging")).toEqual([{ configuration_change: { a: { type: "update" } } }]);
});

test("streams that open together are told the same, looked up once", async () => {
  const recent = recentOf(flag("a", 295));
  const snapshots = inAll("production");
  const events = recent.events(snapshots);
  expect(events).toHaveLength(1);
  await clock.advance(9 * SECOND_MS);
  expect(recent.events(snapshots)).toBe(events);
  await clock.advance(SECOND_MS);
  expect(recent.events(snapshots)).toEqual([]);
});
