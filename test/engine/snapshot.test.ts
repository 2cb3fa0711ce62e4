import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import {
  any,
  ask,
  deletedFlag,
  deletedSegment,
  flag,
  inSegment,
  match,
  position,
  rule,
  segment,
  serve,
  serveRollout,
  snapshotOf,
  unsetCondition,
  value,
} from "./build.js";

const delta = (before: Snapshot, ...items: WatchItem[]) => before.apply("delta", items, position(2));
const requires = (key: string, other: string) => flag(key, { prerequisites: [{ flagKey: other, variants: ["a"] }] });
const uses = (key: string, segmentKey: string) => flag(key, { rules: [rule(inSegment(segmentKey))] });
const plan = (name: string) => match("plan", Operator.IN, [name]);
const pro = { plan: "pro" };

describe("a segment whose keys come in parts", () => {
  const keys = (segmentKey: string, included: string[], excluded: string[] = []) =>
    create(WatchItemSchema, { kind: { case: "segmentKeys", value: { segmentKey, included, excluded } } });
  const counts = { includedCount: 3, excludedCount: 1 };
  const beginning = segment("s", { included: ["a"], ...counts });
  const parts = [beginning, keys("s", ["b"]), keys("s", ["c"], ["out"])];
  const whole = segment("s", { included: ["a", "b", "c"], excluded: ["out"], ...counts });
  const variantOf = (snapshot: Snapshot, targetingKey: string) => ask(snapshot, "x", { targetingKey }).variant;

  test("is the same as the whole one, and is given whole", () => {
    const snapshot = snapshotOf(uses("x", "s"), ...parts);
    expect(["a", "b", "c", "out", "d"].map((key) => variantOf(snapshot, key))).toEqual(["b", "b", "b", "a", "a"]);
    expect(snapshot.items()[1]).toEqual(whole);
    expect(snapshot.digest).toBe(snapshotOf(uses("x", "s"), whole).digest);
  });

  test("leaves what it came from as it was", () => {
    snapshotOf(...parts);
    expect(beginning.kind.value).toMatchObject({ included: ["a"], excluded: [] });
    const before = snapshotOf(uses("x", "s"), ...parts);
    delta(before, ...parts, keys("s", ["later"]));
    expect(variantOf(before, "later")).toBe("a");
  });

  test.each([
    ["the last", parts.slice(0, -1)],
    ["one in the middle", parts.toSpliced(1, 1)],
    ["all", parts.slice(0, 1)],
  ])("has another digest where %s of them is lost", (_which, received) => {
    expect(snapshotOf(...received).digest).not.toBe(snapshotOf(whole).digest);
  });

  test("is not made of keys alone, nor do they join one from before the update", () => {
    const before = snapshotOf(uses("x", "s"), segment("s", { included: ["a"] }));
    const after = delta(before, keys("s", ["b"]), keys("never", ["b"]));
    expect(variantOf(after, "b")).toBe("a");
    expect(after.digest).toBe(before.digest);
    expect(after.items()).toEqual(before.items());
  });
});

describe("a snapshot never changes", () => {
  test("when flags of it are changed, created and deleted in the next one", () => {
    const before = snapshotOf(flag("x"), flag("y"));
    const digest = before.digest;
    const after = delta(before, flag("x", { default: serve("b") }), flag("z"), deletedFlag("y"));
    expect(ask(after, "x").variant).toBe("b");
    expect(ask(before, "x").variant).toBe("a");
    expect(before.flags().map(({ key }) => key)).toEqual(["x", "y"]);
    expect(after.flags().map(({ key }) => key)).toEqual(["x", "z"]);
    expect(before.flag("z")).toBeUndefined();
    expect([before.digest, before.size, before.position.revision]).toEqual([digest, 2, 1n]);
  });

  test("when a segment that its flags use changes in the next one", () => {
    const before = snapshotOf(uses("x", "s"), segment("s", { condition: plan("pro") }));
    delta(before, segment("s", { condition: plan("free") }));
    expect(ask(before, "x", pro).variant).toBe("b");
    delta(before, deletedSegment("s"));
    expect(ask(before, "x", pro).variant).toBe("b");
  });

  test("when everything is replaced", () => {
    const before = snapshotOf(flag("x"), segment("s"));
    const after = before.apply("full", [flag("y")], position(2));
    expect(before.flags().map(({ key }) => key)).toEqual(["x"]);
    expect(after.items().map(({ kind }) => kind.case)).toEqual(["flag"]);
  });

  test("through the list of its flags", () => {
    const snapshot = snapshotOf(flag("x"), flag("y"));
    expect(() => (snapshot.flags() as unknown[]).pop()).toThrow(TypeError);
    expect(Object.isFrozen(snapshot.flag("x"))).toBe(true);
  });

  test("through the list of its items", () => {
    const snapshot = snapshotOf(flag("x"), flag("y"));
    snapshot.items().pop();
    expect(snapshot.items()).toHaveLength(2);
  });
});

describe("an outcome is the same for every caller and cannot be changed by any", () => {
  const variants = { a: value({ nested: { list: [1, { deep: true }], ["__proto__"]: "own" } }), off: value({}) };
  const metadata = { team: "web", ["__proto__"]: { x: 1 } };
  const snapshot = snapshotOf(flag("x", {}, { type: FlagType.OBJECT, variants, metadata }));

  function expectFrozen(part: unknown): void {
    if (typeof part !== "object" || part === null) return;
    expect(Object.isFrozen(part)).toBe(true);
    for (const member of Object.values(part)) expectFrozen(member);
  }

  test("all the way down", () => {
    expect(ask(snapshot, "x").value).toMatchObject({ nested: { list: [1, { deep: true }] } });
    expectFrozen(ask(snapshot, "x"));
  });

  test("in a malformed flag too", () => {
    expectFrozen(ask(snapshotOf(flag("x", { offVariant: "nope" }, { metadata })), "x"));
  });

  test("not even by changing the message that the flag came in", () => {
    const item = flag("x", {}, { type: FlagType.OBJECT, variants, metadata: { team: "web" } });
    const compiled = snapshotOf(item);
    if (item.kind.case === "flag" && item.kind.value.flag?.metadata) item.kind.value.flag.metadata.team = "mobile";
    expect(ask(compiled, "x").metadata).toEqual({ team: "web" });
  });

  test("and keeps keys that would set a prototype as plain keys", () => {
    const { value: served, metadata: data } = ask(snapshot, "x");
    expect(JSON.stringify(served)).toBe('{"nested":{"list":[1,{"deep":true}],"__proto__":"own"}}');
    expect(JSON.stringify(data)).toBe('{"team":"web","__proto__":{"x":1}}');
  });

  test("as one object, answer after answer", () => {
    expect(ask(snapshot, "x")).toBe(ask(snapshot, "x", { targetingKey: "u1" }));
  });
});

describe("a delta compiles what it changes, and shares the rest:", () => {
  const before = snapshotOf(
    flag("plain"),
    flag("changed"),
    uses("inner", "s1"),
    uses("outer", "s2"),
    requires("needsPlain", "plain"),
    requires("needsOuter", "outer"),
    requires("needsNeedsOuter", "needsOuter"),
    segment("s1", { condition: plan("pro") }),
    segment("s2", { condition: any(inSegment("s1")) }),
  );
  const recompiled = (after: Snapshot) =>
    after.flags().flatMap((compiled) => (compiled === before.flag(compiled.key) ? [] : [compiled.key]));

  test("a flag that nothing requires", () => {
    expect(recompiled(delta(before, flag("changed", { default: serve("b") })))).toEqual(["changed"]);
  });

  test("a flag, with those that require it", () => {
    const after = delta(before, flag("plain", { default: serve("b") }));
    expect(recompiled(after)).toEqual(["needsPlain", "plain"]);
    expect(ask(after, "needsPlain").reason).toBe("PREREQUISITE_FAILED");
  });

  test("a segment, with the flags that use it through others and those that require these", () => {
    const after = delta(before, segment("s1", { condition: plan("free") }));
    expect(recompiled(after)).toEqual(["inner", "needsNeedsOuter", "needsOuter", "outer"]);
    expect(ask(before, "outer", pro).variant).toBe("b");
    expect(ask(after, "outer", pro).variant).toBe("a");
    expect(ask(before, "needsNeedsOuter", pro).reason).toBe("PREREQUISITE_FAILED");
    expect(ask(after, "needsNeedsOuter", pro).reason).toBe("DEFAULT");
  });

  test("a segment that only others use", () => {
    expect(recompiled(delta(before, segment("s2", { condition: plan("free") })))).toEqual([
      "needsNeedsOuter",
      "needsOuter",
      "outer",
    ]);
  });

  test("a segment that nothing uses", () => {
    expect(recompiled(delta(before, segment("unused")))).toEqual([]);
  });

  test("a deleted segment, whose users become malformed", () => {
    const after = delta(before, deletedSegment("s1"));
    expect(ask(after, "inner").errorCode).toBe("MALFORMED_FLAG");
    expect(ask(after, "outer").errorCode).toBe("MALFORMED_FLAG");
    expect(ask(after, "needsOuter").reason).toBe("PREREQUISITE_FAILED");
    expect(after.segmentProblems("s1")).toEqual([]);
    const again = delta(after, segment("s1", { condition: plan("pro") }));
    expect(again.flags().flatMap(({ problems }) => problems)).toEqual([]);
    expect(ask(again, "outer", pro).variant).toBe("b");
  });

  test("a deleted flag, whose users fail until it is back", () => {
    const after = delta(before, deletedFlag("outer"));
    expect(after.flag("outer")).toBeUndefined();
    expect(ask(after, "needsOuter")).toMatchObject({ reason: "PREREQUISITE_FAILED", prerequisiteKey: "outer" });
    expect(ask(after, "needsNeedsOuter")).toMatchObject({
      reason: "PREREQUISITE_FAILED",
      prerequisiteKey: "needsOuter",
    });
    expect(ask(delta(after, uses("outer", "s2")), "needsNeedsOuter").reason).toBe("DEFAULT");
  });

  test("a cycle that a change closes, and one that a change opens", () => {
    const closed = delta(before, requires("plain", "needsPlain"));
    for (const key of ["plain", "needsPlain"]) expect(ask(closed, key).errorCode).toBe("MALFORMED_FLAG");
    const opened = delta(closed, flag("plain"));
    for (const key of ["plain", "needsPlain"]) expect(ask(opened, key).variant).toBe("a");
    const deleted = delta(closed, deletedFlag("plain"));
    expect(ask(deleted, "needsPlain").reason).toBe("PREREQUISITE_FAILED");
  });

  test("a cycle of segments that a change closes, and one that a change opens", () => {
    const closed = delta(before, segment("s1", { condition: inSegment("s2") }));
    for (const key of ["inner", "outer"]) expect(ask(closed, key).errorCode).toBe("MALFORMED_FLAG");
    const opened = delta(closed, segment("s1", { condition: plan("pro") }));
    for (const key of ["inner", "outer"]) expect(ask(opened, key, pro).variant).toBe("b");
  });

  test("flag and segment that come in one update, whatever their order", () => {
    const items = [uses("new", "s9"), requires("newer", "new"), segment("s9", { included: ["u1"] })];
    for (const order of [items, items.toReversed()]) {
      const after = delta(before, ...order);
      expect(ask(after, "new", { targetingKey: "u1" }).variant).toBe("b");
      expect(ask(after, "newer", { targetingKey: "u2" }).variant).toBe("a");
    }
  });
});

describe("the changed keys of a snapshot", () => {
  const before = snapshotOf(flag("x"), requires("needsX", "x"), uses("user", "s"), segment("s"), flag("other"));

  test("are at first all of its flags", () => {
    expect([...before.changedKeys].sort()).toEqual(["needsX", "other", "user", "x"]);
  });

  test("are those that a delta compiled anew and those that it deleted", () => {
    expect([...delta(before, flag("x", { default: serve("b") })).changedKeys].sort()).toEqual(["needsX", "x"]);
    expect([...delta(before, segment("s", { included: ["u1"] }), flag("new")).changedKeys].sort()).toEqual([
      "new",
      "user",
    ]);
    expect([...delta(before, deletedFlag("x")).changedKeys].sort()).toEqual(["needsX", "x"]);
  });

  test("are, when all is replaced, what was there and what is there", () => {
    const after = before.apply("full", [flag("x"), flag("new")], position(2));
    expect([...after.changedKeys].sort()).toEqual(["needsX", "new", "other", "user", "x"]);
  });

  test("are none where only the position moves", () => {
    expect(before.apply("delta", [], position(2)).changedKeys.size).toBe(0);
  });

  test("have none that was not there before and is not there now", () => {
    expect(delta(before, deletedFlag("never"), flag("brief"), deletedFlag("brief")).changedKeys.size).toBe(0);
  });
});

describe("an update", () => {
  test("without changes moves only the position", () => {
    const before = snapshotOf(flag("x"), segment("s"));
    const after = before.apply("delta", [], position(7));
    expect(after.position.revision).toBe(7n);
    expect(before.position.revision).toBe(1n);
    expect(after.digest).toBe(before.digest);
    expect(after.size).toBe(1);
    expect(after.flag("x")).toBe(before.flag("x"));
    expect(after.flags()).toEqual(before.flags());
    expect(after.items()).toEqual(before.items());
  });

  test("in full without items leaves nothing", () => {
    const after = snapshotOf(flag("x"), segment("s")).apply("full", [], position(2));
    expect([after.size, after.items(), after.digest]).toEqual([0, [], "0".repeat(16)]);
  });

  test("that deletes what is not there changes nothing", () => {
    const before = snapshotOf(flag("x"));
    const after = delta(before, deletedFlag("y"), deletedSegment("y"));
    expect(after.flag("x")).toBe(before.flag("x"));
    expect(after.digest).toBe(before.digest);
  });

  test("with an item of a newer server leaves it out", () => {
    const before = snapshotOf(flag("x"));
    const after = delta(before, clone(WatchItemSchema, { ...deletedFlag("x"), kind: { case: undefined } }));
    expect(after.flag("x")).toBe(before.flag("x"));
    expect(after.digest).toBe(before.digest);
  });

  test("keeps the environment", () => {
    expect(emptySnapshot("staging").apply("full", [flag("x")], position(1)).environment).toBe("staging");
  });
});

describe("the items of a snapshot", () => {
  const items = [
    segment("s2", { condition: any(inSegment("s1"), plan("pro")) }),
    segment("s1", { included: ["u1"], excluded: ["u2"] }),
    flag("b", { rules: [rule(inSegment("s2"), "r", serveRollout({ shares: [{ variant: "c", weight: 1 }] }))] }),
    flag("broken", { rules: [rule(unsetCondition())] }),
    requires("a", "b"),
  ];
  const snapshot = snapshotOf(...items);

  test("are the flags and then the segments, sorted by key", () => {
    const keys = snapshot.items().map(({ kind }) => {
      if (kind.case === "flag") return `flag ${kind.value.flag?.key}`;
      return kind.case === "segment" ? `segment ${kind.value.key}` : kind.case;
    });
    expect(keys).toEqual(["flag a", "flag b", "flag broken", "segment s1", "segment s2"]);
  });

  test("make the snapshot again from nothing, malformed flags included, after a trip over the wire", () => {
    const sent = snapshot.items().map((item) => fromBinary(WatchItemSchema, toBinary(WatchItemSchema, item)));
    const again = snapshotOf(...sent);
    expect(again.digest).toBe(snapshot.digest);
    expect(again.items()).toEqual(snapshot.items());
    for (const { key, problems } of snapshot.flags()) {
      expect(again.flag(key)?.problems).toEqual(problems);
      for (const context of [{}, pro, { targetingKey: "u1" }, { targetingKey: "u2", plan: "pro" }]) {
        expect(ask(again, key, context)).toEqual(ask(snapshot, key, context));
      }
    }
  });
});

describe("all flags of a snapshot, after others were asked for theirs", () => {
  const keysOf = (snapshot: Snapshot) => snapshot.flags().map(({ key }) => key);
  const first = snapshotOf(flag("b"), flag("d"), flag("a"));

  test.each([
    ["a change", [flag("b", { offVariant: "a" })], ["a", "b", "d"]],
    ["a new flag", [flag("c")], ["a", "b", "c", "d"]],
    ["the end of one", [deletedFlag("b")], ["a", "d"]],
    ["one for another", [deletedFlag("b"), flag("c")], ["a", "c", "d"]],
    ["the end of one that never was", [deletedFlag("x")], ["a", "b", "d"]],
    ["nothing", [], ["a", "b", "d"]],
  ])("are those after %s, sorted, and as they are now", (_what, items, keys) => {
    expect(keysOf(first)).toEqual(["a", "b", "d"]);
    const after = delta(first, ...items);
    expect(keysOf(after)).toEqual(keys);
    for (const one of after.flags()) expect(one).toBe(after.flag(one.key));
    expect(keysOf(delta(after, flag("0")))).toEqual(["0", ...keys]);
    const anew = after.apply("full", [flag("z"), flag("y")], position(3));
    expect(keysOf(anew)).toEqual(["y", "z"]);
    expect(keysOf(first)).toEqual(["a", "b", "d"]);
  });
});
