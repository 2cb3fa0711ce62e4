import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Context } from "../../src/engine/index.js";
import { all, ask, flag, match, rule, snapshotOf } from "./build.js";

function exists(attribute: string, context: object): boolean {
  const snapshot = snapshotOf(flag("x", { rules: [rule(match(attribute, Operator.EXISTS, []))] }));
  return ask(snapshot, "x", context as Context).variant === "b";
}

function isIn(attribute: string, values: (string | number | boolean)[], context: object): boolean {
  const snapshot = snapshotOf(flag("x", { rules: [rule(match(attribute, Operator.IN, values))] }));
  return ask(snapshot, "x", context as Context).variant === "b";
}

describe("an attribute is there", () => {
  test.each([false, 0, -1.5, "", [], {}, new Date(0)])("if it is %j", (value) => {
    expect(exists("plan", { plan: value })).toBe(true);
  });

  test("if the context has no prototype", () => {
    expect(exists("plan", Object.assign(Object.create(null), { plan: "pro" }))).toBe(true);
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("only if somebody set it, be it %s", (name) => {
    expect(exists(name, {})).toBe(false);
    expect(exists(name, JSON.parse(`{"${name}": "own"}`))).toBe(true);
  });

  test.each(["__proto__", "constructor", "toString"])(
    "at the end of a path only if somebody set it, be it %s",
    (name) => {
      expect(exists(`device.${name}`, { device: {} })).toBe(false);
      expect(exists(`device.${name}`, JSON.parse(`{"device": {"${name}": "own"}}`))).toBe(true);
      expect(exists(`device.${name}.name`, { device: {} })).toBe(false);
    },
  );
});

describe("only what a context owns counts", () => {
  class Account {
    plan = "pro";
    get level() {
      return "gold";
    }
    device = Object.create({ os: "inherited" }, { "own.os": { value: "hidden", enumerable: false } });
  }

  test("so what its class inherits or computes is missing, and its fields are there", () => {
    expect(exists("plan", new Account())).toBe(true);
    expect(exists("level", new Account())).toBe(false);
    expect(exists("device.os", new Account())).toBe(false);
    expect(exists("device.own.os", new Account())).toBe(false);
    expect(exists("plan", Object.create({ plan: "pro" }))).toBe(false);
    expect(exists("device.os", Object.create({ device: { os: "a" } }))).toBe(false);
  });

  test("in conditions of two and in runs of rules as well", () => {
    const isPro = match("plan", Operator.IN, ["pro", "max"]);
    const isRed = match("team", Operator.IN, ["red", "blue"]);
    const rules = [rule(isPro, "pro"), rule(match("plan", Operator.IN, ["x"]), "x"), rule(isRed, "red")];
    const snapshot = snapshotOf(flag("both", { rules: [rule(all(isPro, isRed))] }), flag("run", { rules }));
    const inherits = (inherited: object, own: object): Context => Object.assign(Object.create(inherited), own);
    expect(ask(snapshot, "both", { plan: "pro", team: "red" }).ruleId).toBe("r");
    expect(ask(snapshot, "both", { plan: ["x", "pro"], team: "red" }).ruleId).toBe("r");
    expect(ask(snapshot, "both", { plan: "pro", team: ["x", "red"] }).ruleId).toBe("r");
    expect(ask(snapshot, "both", inherits({ plan: "pro" }, { team: "red" })).ruleId).toBeUndefined();
    expect(ask(snapshot, "both", inherits({ team: "red" }, { plan: "pro" })).ruleId).toBeUndefined();
    expect(ask(snapshot, "run", inherits({ plan: "pro" }, { team: "red" })).ruleId).toBe("red");
    expect(ask(snapshot, "run", inherits({ plan: "pro", team: "red" }, {})).ruleId).toBeUndefined();
  });

  test("but its class may have the targeting key", () => {
    expect(exists("targetingKey", Object.create({ targetingKey: "u1" }))).toBe(true);
  });

  test("computed or not, listed or not", () => {
    expect(isIn("plan", ["pro"], Object.defineProperty({}, "plan", { get: () => "pro" }))).toBe(true);
    expect(isIn("plan", ["pro"], Object.defineProperty({}, "plan", { value: "pro", enumerable: false }))).toBe(true);
  });
});

describe("a value is what JSON makes of it", () => {
  test("so a boxed primitive is its primitive", () => {
    expect(isIn("plan", ["pro"], { plan: new String("pro") })).toBe(true);
    expect(isIn("age", [5], { age: new Number(5) })).toBe(true);
    expect(isIn("beta", [true], { beta: new Boolean(true) })).toBe(true);
    expect(isIn("list", ["pro"], { list: [new String("pro")] })).toBe(true);
    expect(exists("plan.length", { plan: new String("pro") })).toBe(false);
    expect(exists("plan.0", { plan: new String("pro") })).toBe(false);
    expect(exists("age", { age: new Number(Number.NaN) })).toBe(false);
  });

  test("so whatever says how it reads in JSON is that", () => {
    expect(isIn("page", ["http://a.test/"], { page: new URL("http://a.test") })).toBe(true);
    expect(isIn("money.amount", [5], { money: { toJSON: () => ({ amount: 5 }) } })).toBe(true);
    expect(exists("money", { money: { toJSON: () => undefined } })).toBe(false);
    expect(exists("money", { money: { toJSON: () => null } })).toBe(false);
  });

  test("so other objects are their own enumerable members", () => {
    class Device {
      os = "a";
      get version() {
        return "1";
      }
    }
    expect(isIn("device.os", ["a"], { device: new Device() })).toBe(true);
    expect(exists("device.version", { device: new Device() })).toBe(false);
    expect(exists("failure.message", { failure: new Error("x") })).toBe(false);
    expect(exists("map", { map: new Map([["a", 1]]) })).toBe(true);
    expect(exists("map.size", { map: new Map([["a", 1]]) })).toBe(false);
    expect(exists("map.a", { map: new Map([["a", 1]]) })).toBe(false);
  });
});

describe("an attribute is missing", () => {
  test.each([
    ["undefined", undefined],
    ["null", null],
    ["NaN", Number.NaN],
    ["infinite", Number.POSITIVE_INFINITY],
    ["a bigint", 1n],
    ["a symbol", Symbol("pro")],
    ["a function", () => "pro"],
    ["an invalid date", new Date(Number.NaN)],
  ])("if it is %s", (_name, value) => {
    expect(exists("plan", { plan: value })).toBe(false);
    expect(exists("device.os", { device: { os: value } })).toBe(false);
  });

  test("if it is the targeting key and empty or no text", () => {
    for (const targetingKey of ["", 5, null, {}]) expect(exists("targetingKey", { targetingKey })).toBe(false);
    expect(exists("targetingKey", { targetingKey: "u1" })).toBe(true);
  });
});

describe("a name with dots", () => {
  test("is an exact key if there is one, even of null, and else a path", () => {
    expect(isIn("device.os", ["a"], { "device.os": "a", device: { os: "b" } })).toBe(true);
    expect(isIn("device.os", ["b"], { "device.os": "a", device: { os: "b" } })).toBe(false);
    expect(isIn("device.os", ["b"], { "device.os": null, device: { os: "b" } })).toBe(false);
    expect(isIn("device.os", ["b"], { device: { os: "b" } })).toBe(true);
    expect(isIn("device.os", ["b"], { "device.os": undefined, device: { os: "b" } })).toBe(true);
  });

  test("goes through objects, not through lists, texts or dates", () => {
    expect(exists("list.0", { list: ["a"] })).toBe(false);
    expect(exists("list.length", { list: ["a"] })).toBe(false);
    expect(exists("plan.length", { plan: "pro" })).toBe(false);
    expect(exists("created.getTime", { created: new Date(0) })).toBe(false);
  });

  test("may have empty steps", () => {
    expect(isIn("a..b", [1], { a: { "": { b: 1 } } })).toBe(true);
    expect(isIn(".", [1], { "": { "": 1 } })).toBe(true);
    expect(exists("a.", { a: {} })).toBe(false);
  });
});

describe("a list", () => {
  test("matches if any of its elements does, whatever the others are", () => {
    expect(isIn("list", ["pro"], { list: [null, undefined, Number.NaN, 1, {}, () => 0, ["x"], "pro"] })).toBe(true);
    expect(isIn("list", ["pro"], { list: [null, 1, ["pro"], { pro: "pro" }] })).toBe(false);
    expect(isIn("list", ["pro"], { list: [] })).toBe(false);
    expect(isIn("list", ["pro"], { list: new Array(3) })).toBe(false);
  });

  test("may hold dates, which are their ISO texts", () => {
    expect(isIn("list", ["1970-01-01T00:00:00.000Z"], { list: [new Date(0)] })).toBe(true);
  });
});

test("types are never mixed up", () => {
  expect(isIn("age", ["5"], { age: 5 })).toBe(false);
  expect(isIn("age", [5], { age: "5" })).toBe(false);
  expect(isIn("age", [1], { age: true })).toBe(false);
  expect(isIn("age", [true], { age: "true" })).toBe(false);
  expect(isIn("age", [0], { age: -0 })).toBe(true);
});
