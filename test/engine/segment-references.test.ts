import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import type { Snapshot } from "../../src/engine/index.js";
import {
  all,
  any,
  ask,
  fieldsOf,
  flag,
  inSegment,
  match,
  not,
  rule,
  segment,
  snapshotOf,
  unsetCondition,
} from "./build.js";

const SEGMENT = "targeting.rules[0].condition.segment";
const uses = (key: string, segmentKey: string) => flag(key, { rules: [rule(inSegment(segmentKey))] });
const pro = match("plan", Operator.IN, ["pro"]);

/** A snapshot with a flag `x` that uses segment `s`, and sound ones beside them. */
function snapshotWith(...items: WatchItem[]): Snapshot {
  const snapshot = snapshotOf(uses("x", "s"), ...items, segment("sound", { condition: pro }), uses("y", "sound"));
  expect(ask(snapshot, "y", { plan: "pro" })).toMatchObject({ variant: "b", reason: "TARGETING_MATCH" });
  expect(ask(snapshot, "y")).toMatchObject({ variant: "a", reason: "DEFAULT" });
  return snapshot;
}

function segmentFields(snapshot: Snapshot, key: string): string[] {
  return snapshot.segmentProblems(key).map(({ field }) => field);
}

function expectMalformed(snapshot: Snapshot, key: string): void {
  expect(ask(snapshot, key)).toMatchObject({ errorCode: "MALFORMED_FLAG", reason: "ERROR", value: undefined });
}

describe("a flag is malformed if it uses", () => {
  test("a segment that does not exist", () => {
    const snapshot = snapshotWith();
    expectMalformed(snapshot, "x");
    expect(fieldsOf(snapshot, "x")).toEqual([SEGMENT]);
  });

  test("a segment that it does not name", () => {
    const snapshot = snapshotOf(uses("x", ""));
    expectMalformed(snapshot, "x");
    expect(fieldsOf(snapshot, "x")).toEqual([SEGMENT]);
  });

  test("a segment named like what every object inherits", () => {
    expectMalformed(snapshotOf(uses("x", "constructor")), "x");
  });

  test("a malformed segment, though the caller be listed in it", () => {
    const snapshot = snapshotWith(segment("s", { included: ["u1"], condition: any(pro, unsetCondition()) }));
    expect(ask(snapshot, "x", { targetingKey: "u1" }).errorCode).toBe("MALFORMED_FLAG");
    expect(fieldsOf(snapshot, "x")).toEqual([SEGMENT]);
    expect(segmentFields(snapshot, "s")).toEqual(["segment.condition.any.conditions[1]"]);
  });

  test("a segment that uses a missing one", () => {
    const snapshot = snapshotWith(segment("s", { condition: not(inSegment("gone")) }));
    expectMalformed(snapshot, "x");
    expect(segmentFields(snapshot, "s")).toEqual(["segment.condition.not.segment"]);
  });

  test("a segment that uses a malformed one, through however many", () => {
    const snapshot = snapshotWith(
      segment("s", { condition: inSegment("t") }),
      segment("t", { condition: all(inSegment("u")) }),
      segment("u", { condition: match("plan", 99 as Operator, ["x"]) }),
    );
    expectMalformed(snapshot, "x");
    expect(segmentFields(snapshot, "u")).toEqual(["segment.condition.match.operator"]);
    expect(segmentFields(snapshot, "t")).toEqual(["segment.condition.all.conditions[0].segment"]);
    expect(segmentFields(snapshot, "s")).toEqual(["segment.condition.segment"]);
  });
});

describe("segments in a cycle are malformed, with all that uses them:", () => {
  test("one that uses itself", () => {
    const snapshot = snapshotWith(segment("s", { condition: any(pro, inSegment("s")) }));
    expect(segmentFields(snapshot, "s")).toEqual(["segment.condition"]);
    expectMalformed(snapshot, "x");
  });

  test("two that use each other", () => {
    const snapshot = snapshotWith(
      segment("s", { condition: inSegment("t") }),
      segment("t", { condition: not(inSegment("s")) }),
    );
    for (const key of ["s", "t"]) expect(segmentFields(snapshot, key)).toEqual(["segment.condition"]);
    expectMalformed(snapshot, "x");
  });

  test("three, and one outside that uses them", () => {
    const snapshot = snapshotWith(
      segment("s", { condition: inSegment("t") }),
      segment("t", { condition: inSegment("u") }),
      segment("u", { condition: inSegment("v") }),
      segment("v", { condition: any(pro, inSegment("t")) }),
      segment("w", { condition: pro }),
    );
    for (const key of ["t", "u", "v"]) expect(segmentFields(snapshot, key)).toEqual(["segment.condition"]);
    expect(segmentFields(snapshot, "s")).toEqual(["segment.condition.segment"]);
    expect(segmentFields(snapshot, "w")).toEqual([]);
    expectMalformed(snapshot, "x");
  });
});

describe("segments use segments", () => {
  const chain = (length: number): WatchItem[] =>
    Array.from({ length }, (_, index) =>
      segment(`s${index}`, { condition: index === length - 1 ? pro : inSegment(`s${index + 1}`) }),
    );

  test("32 levels deep", () => {
    const snapshot = snapshotOf(...chain(32), uses("x", "s0"));
    expect(ask(snapshot, "x", { plan: "pro" })).toMatchObject({ variant: "b", reason: "TARGETING_MATCH" });
  });

  test("no deeper", () => {
    const snapshot = snapshotOf(...chain(33), uses("x", "s0"), uses("y", "s1"));
    expect(segmentFields(snapshot, "s0")).toEqual(["segment.condition"]);
    expectMalformed(snapshot, "x");
    expect(ask(snapshot, "y", { plan: "pro" }).variant).toBe("b");
  });

  test("in a chain of tens of thousands, without exhausting the stack", () => {
    const snapshot = snapshotOf(...chain(20_000), uses("x", "s0"), uses("y", "s19999"));
    expectMalformed(snapshot, "x");
    expect(ask(snapshot, "y", { plan: "pro" }).variant).toBe("b");
  });

  test("not in a diamond whose every level doubles the work", () => {
    const levels = 30;
    const diamond = Array.from({ length: levels }, (_, index) => {
      const next = inSegment(`s${index + 1}`);
      return segment(`s${index}`, { condition: index === levels - 1 ? pro : any(next, not(next)) });
    });
    const snapshot = snapshotOf(...diamond, uses("x", "s0"), uses("y", `s${levels - 8}`));
    expectMalformed(snapshot, "x");
    expect(ask(snapshot, "y", { plan: "pro" }).variant).toBe("b");
    const refused = diamond.flatMap((_, index) => segmentFields(snapshot, `s${index}`).slice(0, 1));
    expect(refused).toContain("segment.condition");
  });
});
