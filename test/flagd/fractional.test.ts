import { expect, test } from "vitest";
import { evaluate, flagdFile, importFile, refusalsOf, variantOf } from "./evaluate.js";

const suits = { clubs: "c", diamonds: "d", hearts: "h", spades: "s" };
const quarters = [
  ["clubs", 25],
  ["diamonds", 25],
  ["hearts", 25],
  ["spades", 25],
];
const halves = [
  ["on", 50],
  ["off", 50],
];

function suitOf(flagKey: string, fractional: unknown[], context: Record<string, unknown>): string | undefined {
  const flag = { state: "ENABLED", variants: suits, defaultVariant: null, targeting: { fractional } };
  return evaluate(importFile({ flags: { [flagKey]: flag } }), flagKey, context).variant;
}

// Worked vectors of flagd's fractional since core 0.15.
test.each([
  ["jack", "hearts"],
  ["queen", "spades"],
  ["ten", "clubs"],
  ["nine", "diamonds"],
  ["3", "clubs"],
])("fractional-flag gives %s %s, from the flag's key and the targeting key", (targetingKey, expected) => {
  expect(suitOf("fractional-flag", quarters, { targetingKey })).toBe(expected);
  const cat = { cat: [{ var: "$flagd.flagKey" }, { var: "name" }] };
  expect(suitOf("fractional-flag", [cat, ...quarters], { name: targetingKey })).toBe(expected);
});

test.each([
  ["seven", "hearts"],
  ["eight", "diamonds"],
  ["nine", "clubs"],
  ["two", "spades"],
])("shared-seed gives %s %s whatever the flag is called", (name, expected) => {
  for (const flagKey of ["a", "b"]) {
    expect(suitOf(flagKey, [{ cat: ["shared-seed", { var: "name" }] }, ...quarters], { name })).toBe(expected);
  }
});

test.each([
  ["ejOoVL", "on"],
  ["bY9fO-", "on"],
  ["SI7p-", "on"],
  ["6LvT0", "off"],
  ["ceQdGm", "off"],
])("the attribute %s alone, at a corner of the hash's range, gives %s", (id, expected) => {
  expect(variantOf({ fractional: [{ var: "id" }, ...halves] }, { id })).toBe(expected);
});

test("a shorthand without weights shares evenly", () => {
  const targeting = { fractional: [["heads"], ["tails"]] };
  const flag = { state: "ENABLED", variants: { heads: 1, tails: 2 }, targeting };
  const result = importFile({ flags: { "fractional-flag-shorthand": flag } });
  expect(evaluate(result, "fractional-flag-shorthand", { targetingKey: "jon@company.com" }).variant).toBe("heads");
  expect(evaluate(result, "fractional-flag-shorthand", { targetingKey: "jane@company.com" }).variant).toBe("tails");
});

test.each([[{}], [{ targetingKey: "" }]])("without a targeting key (%j) the shorthand gives the default", (context) => {
  expect(variantOf({ fractional: halves }, context)).toBe("default");
});

test("a null first argument is dropped, as the Go daemon does", () => {
  const byKey = variantOf({ fractional: halves }, { targetingKey: "u1" });
  expect(variantOf({ fractional: [{ var: "id" }, ...halves] }, { targetingKey: "u1" })).toBe(byKey);
  expect(variantOf({ fractional: [null, ...halves] }, { targetingKey: "u1" })).toBe(byKey);
  expect(variantOf({ fractional: [{ var: "id" }, ...halves] }, {})).toBe("default");
});

test.each([[7], [true], [["a"]], [{ a: 1 }]])("a first argument that is %j gives the default", (id) => {
  expect(variantOf({ fractional: [{ var: "id" }, ...halves] }, { id, targetingKey: "u1" })).toBe("default");
});

test("an empty first argument is hashed: it lands in the first entry", () => {
  expect(variantOf({ fractional: [{ var: "id" }, ["off", 1], ["on", 9]] }, { id: "" })).toBe("off");
});

test("a constant first argument gives everyone the same variant", () => {
  const variants = ["a", "b", "c"].map((targetingKey) =>
    variantOf({ fractional: ["6LvT0", ...halves] }, { targetingKey }),
  );
  expect(variants).toEqual(["off", "off", "off"]);
  expect(variantOf({ fractional: [{ cat: ["6L", "vT0"] }, ...halves] }, {})).toBe("off");
});

test("cat with a missing attribute hashes the prefix alone", () => {
  expect(variantOf({ fractional: [{ cat: ["6LvT0", { var: "id" }] }, ...halves] }, {})).toBe("off");
  expect(variantOf({ fractional: [{ cat: ["bY9fO-", { var: "id" }] }, ...halves] }, {})).toBe("on");
});

test("cat with a number hashes its digits", () => {
  expect(suitOf("fractional-flag", [{ cat: [{ var: "$flagd.flagKey" }, { var: "n" }] }, ...quarters], { n: 3 })).toBe(
    "clubs",
  );
});

test("a default for the bucketing attribute is hashed where it is missing, but a number is not replaced", () => {
  const targeting = { fractional: [{ var: ["id", "6LvT0"] }, ...halves] };
  expect(variantOf(targeting, {})).toBe("off");
  expect(variantOf(targeting, { id: "bY9fO-" })).toBe("on");
  expect(variantOf(targeting, { id: 5 })).toBe("default");
});

test("a null variant is a share of the default", () => {
  const targeting = { fractional: [{ var: "id" }, ["on", 50], [null, 50]] };
  expect(variantOf(targeting, { id: "bY9fO-" })).toBe("on");
  expect(variantOf(targeting, { id: "6LvT0" })).toBe("default");
});

test("a share may be an expression of its own", () => {
  const inner = { if: [{ "==": [{ var: "plan" }, "pro"] }, "on", "off"] };
  const targeting = { fractional: [{ var: "id" }, [inner, 50], ["default", 50]] };
  expect(variantOf(targeting, { id: "bY9fO-", plan: "pro" })).toBe("on");
  expect(variantOf(targeting, { id: "bY9fO-" })).toBe("off");
  expect(variantOf(targeting, { id: "6LvT0", plan: "pro" })).toBe("default");
});

test("boolean variants are named true and false, and a fractional can be a condition", () => {
  const share = { fractional: [{ var: "id" }, [true, 50], [false, 50]] };
  expect(variantOf(share, { id: "bY9fO-" })).toBe("true");
  expect(variantOf({ if: [share, "on", "off"] }, { id: "6LvT0" })).toBe("off");
  expect(variantOf({ if: [share, "on", "off"] }, { id: "bY9fO-" })).toBe("on");
});

test.each([
  [
    [
      ["on", 0],
      ["off", 0],
    ],
  ],
  [
    [
      ["on", 1.5],
      ["off", 1],
    ],
  ],
  [
    [
      ["on", 2147483647],
      ["off", 1],
    ],
  ],
  [[["on", 2147483648]]],
  [
    [
      ["on", "25"],
      ["off", 75],
    ],
  ],
  [[["on", 25], []]],
  [[["on", 25], "off"]],
])("entries that flagd does not accept (%j) give everyone the default, with a warning", (entries) => {
  const result = importFile(flagdFile({ fractional: entries }));
  expect(result.refused).toEqual([]);
  expect(result.warnings.map(({ path }) => path)).toEqual(["flags.f.targeting.fractional"]);
  expect(evaluate(result, "f", { targetingKey: "u1" }).variant).toBe("default");
});

test("a negative weight is none, and what follows an entry's weight is ignored", () => {
  expect(
    variantOf(
      {
        fractional: [
          ["on", -5],
          ["off", 1, "ignored"],
        ],
      },
      { targetingKey: "u1" },
    ),
  ).toBe("off");
});

test("an else branch beside a fractional is not taken for a missing key", () => {
  const targeting = { if: [{ "==": [{ var: "a" }, "b"] }, { fractional: halves }, "red"] };
  const result = importFile(flagdFile(targeting, { variants: { on: "1", off: "2", red: "3", default: "4" } }));
  expect(evaluate(result, "f", { a: "b" }).variant).toBe("default");
  expect(evaluate(result, "f", { a: "b" }).errorCode).toBeUndefined();
  expect(evaluate(result, "f", {}).variant).toBe("red");
  expect(["on", "off"]).toContain(evaluate(result, "f", { a: "b", targetingKey: "u" }).variant);
});

test("what cannot be hashed, or weighted, is refused", () => {
  expect(refusalsOf({ fractional: [{ cat: [{ var: "a" }, { var: "b" }] }, ...halves] })).toEqual([
    "flags.f.targeting.fractional[0].cat[0]: only the last part of cat may come from the context, and as an attribute without default",
  ]);
  expect(refusalsOf({ fractional: [{ cat: [" x", { var: "b" }] }, ...halves] })).toEqual([
    "flags.f.targeting.fractional[0].cat: starts with a blank, which flagd's Go daemon drops and its JavaScript evaluation keeps",
  ]);
  expect(refusalsOf({ fractional: [{ var: "$flagd.timestamp" }, ...halves] })).toEqual([
    "flags.f.targeting.fractional[0].var: hashes something other than an attribute or a constant",
  ]);
  expect(
    refusalsOf({
      fractional: [
        ["on", { var: "weight" }],
        ["off", 1],
      ],
    }),
  ).toEqual(["flags.f.targeting.fractional[0][1]: the weight is computed; a rollout has fixed weights"]);
  expect(
    refusalsOf({
      fractional: [
        ["on", 1],
        ["blue", 1],
      ],
    }),
  ).toEqual(['flags.f.targeting.fractional[1][0]: the flag has no variant "blue"']);
  expect(refusalsOf({ fractional: { var: "x" } })).toEqual(["flags.f.targeting.fractional: must be a list"]);
});
