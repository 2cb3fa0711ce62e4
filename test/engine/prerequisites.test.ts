import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import {
  ask,
  fieldsOf,
  flag,
  inSegment,
  match,
  not,
  rule,
  segment,
  serve,
  snapshotOf,
  unsetCondition,
} from "./build.js";

/** A flag that requires others to answer `a`. */
function requires(key: string, ...flagKeys: string[]): WatchItem {
  return flag(key, { prerequisites: flagKeys.map((flagKey) => ({ flagKey, variants: ["a"] })) });
}

const failed = (prerequisiteKey: string) => ({
  reason: "PREREQUISITE_FAILED",
  variant: "off",
  prerequisiteKey,
  errorCode: undefined,
});
const malformed = { reason: "ERROR", errorCode: "MALFORMED_FLAG", variant: undefined };
const CYCLE = ["targeting.prerequisites"];

describe("a prerequisite fails", () => {
  test("if it is missing, which is no problem of the flag's", () => {
    const snapshot = snapshotOf(requires("x", "gone"));
    expect(ask(snapshot, "x")).toMatchObject(failed("gone"));
    expect(fieldsOf(snapshot, "x")).toEqual([]);
  });

  test("if it is missing and named like what every object inherits", () => {
    expect(ask(snapshotOf(requires("x", "__proto__")), "x")).toMatchObject(failed("__proto__"));
  });

  test("if it is malformed", () => {
    const snapshot = snapshotOf(requires("x", "bad"), flag("bad", { rules: [rule(unsetCondition())] }));
    expect(ask(snapshot, "x")).toMatchObject(failed("bad"));
    expect(ask(snapshot, "bad")).toMatchObject(malformed);
  });

  test("if it is killed, though its off variant is an accepted one", () => {
    const snapshot = snapshotOf(requires("x", "dead"), flag("dead", { killed: {}, offVariant: "a" }));
    expect(ask(snapshot, "x")).toMatchObject(failed("dead"));
  });

  test("if it is killed and malformed, though its off variant is an accepted one", () => {
    const dead = flag("dead", { killed: {}, offVariant: "a", rules: [rule(unsetCondition())] });
    expect(ask(snapshotOf(requires("x", "dead"), dead), "x")).toMatchObject(failed("dead"));
  });

  test("if it is off, though its off variant is an accepted one", () => {
    const snapshot = snapshotOf(requires("x", "off"), flag("off", { enabled: false, offVariant: "a" }));
    expect(ask(snapshot, "x")).toMatchObject(failed("off"));
  });

  test("if one of its own fails, though its off variant is an accepted one", () => {
    const middle = flag("middle", { offVariant: "b", prerequisites: [{ flagKey: "gone", variants: ["a"] }] });
    const snapshot = snapshotOf(requires("x", "middle"), middle);
    expect(ask(snapshot, "x")).toMatchObject(failed("middle"));
  });

  test("with the first of several that does", () => {
    const snapshot = snapshotOf(requires("x", "fine", "gone", "lost"), flag("fine"));
    expect(ask(snapshot, "x")).toMatchObject(failed("gone"));
  });
});

describe("a flag is malformed", () => {
  test("with a prerequisite that names no flag", () => {
    const snapshot = snapshotOf(requires("x", ""));
    expect(ask(snapshot, "x")).toMatchObject(malformed);
    expect(fieldsOf(snapshot, "x")).toEqual(["targeting.prerequisites[0].flag_key"]);
  });

  test("with a prerequisite that accepts nothing", () => {
    const snapshot = snapshotOf(flag("x", { prerequisites: [{ flagKey: "y" }] }), flag("y"));
    expect(fieldsOf(snapshot, "x")).toEqual(["targeting.prerequisites[0].variants"]);
    expect(ask(snapshot, "y")).toMatchObject({ variant: "a", reason: "STATIC" });
  });
});

describe("flags in a cycle are malformed, one that merely requires them fails, and all others answer:", () => {
  test("a flag that requires itself", () => {
    const snapshot = snapshotOf(requires("x", "x"), requires("user", "x"), flag("sound"));
    expect(ask(snapshot, "x")).toMatchObject(malformed);
    expect(fieldsOf(snapshot, "x")).toEqual(CYCLE);
    expect(ask(snapshot, "user")).toMatchObject(failed("x"));
    expect(ask(snapshot, "sound").variant).toBe("a");
  });

  test("two flags", () => {
    const snapshot = snapshotOf(requires("x", "y"), requires("y", "x"), requires("user", "y"), flag("sound"));
    for (const key of ["x", "y"]) expect(fieldsOf(snapshot, key)).toEqual(CYCLE);
    expect(ask(snapshot, "user")).toMatchObject(failed("y"));
    expect(fieldsOf(snapshot, "user")).toEqual([]);
    expect(ask(snapshot, "sound").variant).toBe("a");
  });

  test("three flags, which require a sound one too", () => {
    const snapshot = snapshotOf(
      requires("user", "x"),
      requires("x", "sound", "y"),
      requires("y", "z"),
      requires("z", "x", "sound"),
      flag("sound"),
    );
    for (const key of ["x", "y", "z"]) expect(ask(snapshot, key)).toMatchObject(malformed);
    expect(ask(snapshot, "user")).toMatchObject(failed("x"));
    expect(ask(snapshot, "sound")).toMatchObject({ variant: "a", reason: "STATIC" });
  });

  test("a killed flag of the cycle, which answers its off variant", () => {
    const killed = flag("x", { killed: {}, prerequisites: [{ flagKey: "y", variants: ["a"] }] });
    const snapshot = snapshotOf(killed, requires("y", "x"));
    expect(ask(snapshot, "x")).toMatchObject({ reason: "KILLED", variant: "off" });
    expect(ask(snapshot, "y")).toMatchObject(malformed);
  });
});

describe("flags require flags", () => {
  const chain = (length: number): WatchItem[] =>
    Array.from({ length }, (_, index) =>
      index === length - 1 ? flag(`f${index}`) : requires(`f${index}`, `f${index + 1}`),
    );

  test("32 levels deep", () => {
    expect(ask(snapshotOf(...chain(32)), "f0")).toMatchObject({ variant: "a", reason: "DEFAULT" });
  });

  test("no deeper", () => {
    const snapshot = snapshotOf(...chain(33), requires("user", "f0"));
    expect(ask(snapshot, "f0")).toMatchObject(malformed);
    expect(fieldsOf(snapshot, "f0")).toEqual(["targeting.prerequisites"]);
    expect(ask(snapshot, "f1").variant).toBe("a");
    expect(ask(snapshot, "user")).toMatchObject(failed("f0"));
  });

  test("no deeper even where one on the way is off, so that turning it on makes none malformed", () => {
    const off = flag("f1", { enabled: false, prerequisites: [{ flagKey: "f2", variants: ["a"] }] });
    const snapshot = snapshotOf(...chain(33).filter((_, index) => index !== 1), off);
    expect(fieldsOf(snapshot, "f0")).toEqual(["targeting.prerequisites"]);
    expect(fieldsOf(snapshot, "f1")).toEqual([]);
  });

  test("in a chain of tens of thousands, without exhausting the stack", () => {
    const snapshot = snapshotOf(...chain(20_000));
    expect(ask(snapshot, "f19999").variant).toBe("a");
    expect(snapshot.flags().filter(({ problems }) => problems.length > 0).length).toBeGreaterThan(0);
  });

  test("in diamonds, where each is needed once more on each way", () => {
    const levels = 10;
    const diamond = Array.from({ length: levels }, (_, index) => [
      requires(`l${index}`, ...(index === levels - 1 ? ["end"] : [`l${index + 1}`, `r${index + 1}`])),
      requires(`r${index}`, ...(index === levels - 1 ? ["end"] : [`l${index + 1}`, `r${index + 1}`])),
    ]).flat();
    expect(ask(snapshotOf(...diamond, flag("end")), "l0").variant).toBe("a");
  });

  test("not in a diamond whose every level doubles the work", () => {
    const levels = 30;
    const diamond = Array.from({ length: levels }, (_, index) => [
      requires(`l${index}`, ...(index === levels - 1 ? ["end"] : [`l${index + 1}`, `r${index + 1}`])),
      requires(`r${index}`, ...(index === levels - 1 ? ["end"] : [`l${index + 1}`, `r${index + 1}`])),
    ]).flat();
    const snapshot = snapshotOf(...diamond, flag("end"), flag("sound"));
    const refused = snapshot.flags().filter(({ problems }) => problems.length > 0);
    expect(refused.map(({ problems }) => problems[0]?.field)).toEqual(expect.arrayContaining(["targeting"]));
    expect(ask(snapshot, `l${levels - 10}`).variant).toBe("a");
    expect(ask(snapshot, "sound").variant).toBe("a");
  });
});

describe("a prerequisite is answered for the same context and time", () => {
  const gate = flag("gate", {
    rules: [rule(match("$now", Operator.AFTER, ["2026-01-01T00:00:00Z"]), "r", serve("c"))],
  });

  test("so that a flag whose prerequisite needs the time needs it too", () => {
    const snapshot = snapshotOf(gate, requires("x", "gate"), requires("y", "x"), flag("z"));
    expect(snapshot.flags().map(({ key, usesNow }) => [key, usesNow])).toEqual([
      ["gate", true],
      ["x", true],
      ["y", true],
      ["z", false],
    ]);
    expect(ask(snapshot, "y", {}, Date.UTC(2025, 11, 31))).toMatchObject({ variant: "a", reason: "DEFAULT" });
    expect(ask(snapshot, "y", {}, Date.UTC(2026, 5, 1))).toMatchObject(failed("x"));
  });

  test("as one whose segment needs the time does", () => {
    const snapshot = snapshotOf(
      flag("x", { rules: [rule(inSegment("outer"))] }),
      segment("outer", { condition: inSegment("inner") }),
      segment("inner", { condition: match("$now", Operator.AFTER, [5]) }),
    );
    expect(snapshot.flag("x")?.usesNow).toBe(true);
    expect(ask(snapshot, "x", {}, 5).variant).toBe("a");
    expect(ask(snapshot, "x", {}, 6).variant).toBe("b");
  });

  test("which an attribute of the context cannot stand in for", () => {
    const x = flag("x", { rules: [rule(not(match("$now", Operator.GREATER, [5])))] });
    const snapshot = snapshotOf(x);
    expect(ask(snapshot, "x", { $now: 10 }, 1).variant).toBe("b");
    expect(ask(snapshot, "x", { $now: 1 }, 10).variant).toBe("a");
  });
});
