import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Context } from "../../src/engine/index.js";
import { ask, flag, match, rule, snapshotOf } from "./build.js";

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
