import { create, equals, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import type { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { differencesOf } from "../../src/server/admin/differences.js";
import { withoutStamps } from "../../src/server/admin/stamp.js";
import { cloneRecord } from "../../src/store/index.js";
import { soundItems, wildItems } from "../engine/arbitraries.js";
import { SEED } from "../engine/arbitrary-words.js";
import { everyone, rule, serve, stringFlag, text } from "./admin-support.js";

const targeting = (value: MessageInitShape<typeof TargetingSchema>): Record =>
  create(RecordSchema, { kind: { case: "targeting", value: { flagKey: "a", environment: "production", ...value } } });
const segment = (value: MessageInitShape<typeof SegmentSchema>): Record =>
  create(RecordSchema, { kind: { case: "segment", value: { key: "s", environment: "production", ...value } } });

const lines = (before: Record, after: Record) =>
  differencesOf(before, after).map((found) => `${found.path}: ${found.before || "-"} > ${found.after || "-"}`);

const split = (on: number, off: number) => ({
  kind: {
    case: "rollout" as const,
    value: {
      shares: [
        { variant: "on", weight: on },
        { variant: "off", weight: off },
      ],
    },
  },
});

/** The records that an item stands for, as far as they can be stored. */
function recordsOf({ kind }: WatchItem): Record[] {
  const flagState = kind.case === "flag" ? kind.value : undefined;
  const kinds: Record["kind"][] = [];
  if (kind.case === "segment") kinds.push(kind);
  if (flagState?.flag) kinds.push({ case: "flag", value: flagState.flag });
  if (flagState?.targeting) kinds.push({ case: "targeting", value: flagState.targeting });
  return kinds.flatMap((one) => {
    try {
      return [fromBinary(RecordSchema, toBinary(RecordSchema, create(RecordSchema, { kind: one })))];
    } catch {
      return [];
    }
  });
}

describe("differences", () => {
  it("name rules and shares by id and variant, not by place", () => {
    const before = targeting({
      rules: [rule(everyone, "on", "old"), { id: "beta", condition: everyone, serve: split(1, 9) }],
    });
    const after = targeting({ rules: [{ id: "beta", condition: everyone, serve: split(3, 7) }] });
    expect(lines(before, after)).toEqual([
      'targeting.rules[old]: {"id":"old","condition":{"all":{}},"serve":{"variant":"on"}} > -',
      "targeting.rules[beta].serve.rollout.shares[on].weight: 1 > 3",
      "targeting.rules[beta].serve.rollout.shares[off].weight: 9 > 7",
    ]);
  });

  it("tell another order of what has names, and use places where a name stands there twice", () => {
    const [one, two] = [rule(everyone, "on", "one"), rule(everyone, "on", "two")];
    expect(lines(targeting({ rules: [one, two] }), targeting({ rules: [two, one] }))).toEqual([
      'targeting.rules: ["one","two"] > ["two","one"]',
    ]);
    expect(lines(targeting({ rules: [one, one] }), targeting({ rules: [one, rule(everyone, "off", "one")] }))).toEqual([
      'targeting.rules[1].serve.variant: "on" > "off"',
    ]);
  });

  it("tell false and empty from absent", () => {
    const after = targeting({ enabled: true, offVariant: "off", default: serve("on") });
    expect(lines(targeting({}), after)).toEqual([
      "targeting.enabled: false > true",
      'targeting.off_variant: "" > "off"',
      'targeting.default: - > {"variant":"on"}',
    ]);
  });

  it("show what a flag is, variant by variant, and leave out who changed it when", () => {
    const flag = (extra: object) =>
      create(RecordSchema, { kind: { case: "flag", value: stringFlag("a", ["x"], extra) } });
    const before = flag({ tags: ["one"], createdBy: "ann", revision: 3n });
    const variants = { x: text("é".repeat(300)), "y z": text("new") };
    const after = flag({
      tags: ["one", "two"],
      variants,
      changedBy: "bob",
      changedAt: timestampFromMs(1),
      revision: 9n,
    });
    expect(lines(before, after)).toEqual([
      `flag.variants[x]: "x" > "${"é".repeat(199)}…`,
      'flag.variants["y z"]: - > "new"',
      'flag.tags: ["one"] > ["one","two"]',
    ]);
  });

  it("count the keys of a segment that came and went", () => {
    const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `u${from + index}`);
    expect(lines(segment({ included: ["a"] }), segment({ included: ["b"] }))).toEqual([
      'segment.included: ["a"] > ["b"]',
    ]);
    expect(lines(segment({ included: keys(0, 1_000) }), segment({ included: keys(2, 1_003) }))).toEqual([
      'segment.included: {"count":1000,"removed":2} > {"count":1001,"added":3}',
    ]);
    expect(lines(segment({ excluded: keys(0, 20) }), segment({ excluded: keys(0, 20).reverse() }))).toEqual([
      'segment.excluded: {"count":20} > {"count":20,"reordered":true}',
    ]);
  });

  it("say what is known of segments whose keys were left out", () => {
    const omitted = (count: number, revision: bigint) =>
      segment({ includedCount: count, keysOmitted: true, revision, condition: everyone });
    expect(lines(omitted(500, 1n), omitted(501, 2n))).toEqual(['segment.included: {"count":500} > {"count":501}']);
    expect(lines(omitted(500, 1n), omitted(500, 2n))).toEqual([
      'segment.included: {"count":500,"compared":false} > {"count":500,"compared":false}',
    ]);
    expect(lines(omitted(500, 1n), segment({ included: ["a"], condition: everyone, revision: 2n }))).toEqual([
      'segment.included: {"count":500} > {"count":1}',
    ]);
  });

  it("are none where a record came or went, and at most 200", () => {
    expect(differencesOf(undefined, targeting({}))).toEqual([]);
    expect(differencesOf(targeting({}), undefined)).toEqual([]);
    const prerequisites = Array.from({ length: 300 }, (_, index) => ({ flagKey: `f${index}` }));
    expect(differencesOf(targeting({}), targeting({ prerequisites }))).toHaveLength(200);
  });

  const records = fc.tuple(soundItems, wildItems, wildItems).map((lists) => lists.flat().flatMap(recordsOf));

  it("are some exactly where an author decided something differently, whatever the records hold", () => {
    fc.assert(
      fc.property(records, (all) => {
        for (const before of all) {
          expect(differencesOf(before, cloneRecord(before))).toEqual([]);
          for (const after of all) {
            if (before.kind.case !== after.kind.case) continue;
            const isSame = equals(RecordSchema, withoutStamps(before), withoutStamps(after));
            expect(differencesOf(before, after).length === 0).toBe(isSame);
          }
        }
      }),
      { seed: SEED, numRuns: 30 },
    );
  });
});
