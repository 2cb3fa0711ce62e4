import { describe, expect, test } from "vitest";
import { evaluate, flagdFile, importFile, refusalsOf, variantOf } from "./evaluate.js";

/** The variants that a condition gives for some values of the attribute `x`; undefined: it is missing. */
function truthTable(condition: unknown, values: readonly unknown[]): string {
  const result = importFile(flagdFile({ if: [condition, "on", "off"] }));
  expect(result.refused).toEqual([]);
  return values.map((x) => (evaluate(result, "f", x === undefined ? {} : { x }).variant === "on" ? "1" : "0")).join("");
}

const x = { var: "x" };

describe("results", () => {
  test.each([[{}], [null], [undefined], [{ if: [] }], [{ if: [false, "on"] }], [{ and: [] }]])(
    "%j gives the default",
    (targeting) => expect(variantOf(targeting, {})).toBe("default"),
  );

  test.each([
    ["on", "on"],
    [{ if: ["on"] }, "on"],
    [{ if: [true, "on", "off"] }, "on"],
    [{ if: [0, "on", "off"] }, "off"],
    [{ if: [{ "==": [1, "1"] }, "on", { substr: ["never", 1] }] }, "on"],
    [{ "==": [1, 1] }, "true"],
    [{ "!": [true] }, "false"],
    [true, "true"],
    [{ or: [{ "==": [1, 2] }, "on"] }, "on"],
    [{ and: [{ "==": [1, 1] }, "on"] }, "on"],
    [{ and: [{ "==": [1, 2] }, "on"] }, "false"],
  ])("%j gives %s to everyone", (targeting, expected) => expect(variantOf(targeting, {})).toBe(expected));

  test("a chain of else-if takes the first branch that holds", () => {
    const chain = { if: [{ "==": [x, "a"] }, "on", { "==": [x, "b"] }, "off", { "==": [x, "a"] }, true] };
    expect(["a", "b", "c"].map((value) => variantOf(chain, { x: value }))).toEqual(["on", "off", "default"]);
  });

  test("an if in a branch is decided within that branch", () => {
    const inner = { if: [{ "==": [{ var: "y" }, 1] }, "on", { "==": [{ var: "y" }, 2] }, null] };
    const outer = { if: [{ "==": [x, "a"] }, inner, "off"] };
    expect(variantOf(outer, { x: "a", y: 1 })).toBe("on");
    expect(variantOf(outer, { x: "a", y: 2 })).toBe("default");
    expect(variantOf(outer, { x: "a", y: 3 })).toBe("default");
    expect(variantOf(outer, { x: "b", y: 1 })).toBe("off");
  });

  test("a null branch gives the default, and no later branch", () => {
    const targeting = { if: [{ "==": [x, "a"] }, null, { in: [x, ["a", "b"]] }, "on"] };
    expect(variantOf(targeting, { x: "a" })).toBe("default");
    expect(variantOf(targeting, { x: "b" })).toBe("on");
  });

  test("a comparison as the result names the variants true and false, and null where it has no answer", () => {
    const targeting = { starts_with: [x, "a"] };
    expect(["ab", "b", 5, undefined].map((value) => variantOf(targeting, { x: value }))).toEqual([
      "true",
      "false",
      "default",
      "default",
    ]);
  });

  test("an else branch is a match of its own, and its rule is named", () => {
    const result = importFile(flagdFile({ if: [{ "==": [x, "a"] }, "on", "off"] }));
    expect(evaluate(result, "f", {})).toMatchObject({ variant: "off", reason: "TARGETING_MATCH", ruleId: "rule-2" });
  });
});

describe("conditions", () => {
  const scalars = ["a", "1", "", 1, 0, true, false, undefined, null];

  test.each([
    [{ "==": [x, "a"] }, "100000000"],
    [{ "==": ["a", x] }, "100000000"],
    [{ "!=": [x, "a"] }, "011111111"],
    [{ "==": [x, "1"] }, "010101000"],
    [{ "==": [x, 1] }, "010101000"],
    [{ "==": [x, true] }, "010101000"],
    [{ "==": [x, ""] }, "001010100"],
    [{ "==": [x, 0] }, "001010100"],
    [{ "==": [x, false] }, "001010100"],
    [{ "==": [x, null] }, "000000011"],
    [{ "!=": [x, null] }, "111111100"],
    [{ "===": [x, 1] }, "000100000"],
    [{ "===": [x, true] }, "000001000"],
    [{ "===": [x, null] }, "000000011"],
    [{ "!==": [x, "1"] }, "101111111"],
    [{ in: [x, ["a", 1, false]] }, "100100100"],
    [{ in: [x, [null, 0]] }, "000010011"],
    [{ in: [x, []] }, "000000000"],
    [{ "!!": [x] }, "110101000"],
    [{ "!!": x }, "110101000"],
    [x, "110101000"],
    [{ "!": [x] }, "001010111"],
    [{ "!": x }, "001010111"],
    [{ and: [x, { "!=": [x, "a"] }] }, "010101000"],
    [{ or: [{ "==": [x, "a"] }, { "==": [x, null] }] }, "100000011"],
    [{ "==": [{ "!!": [x] }, false] }, "001010111"],
    [{ "==": [{ var: ["x", "a"] }, "a"] }, "100000011"],
    [{ "!=": [{ var: ["x", "a"] }, "a"] }, "011111100"],
    [{ if: [{ "==": [x, "a"] }, true, { "==": [x, 0] }, 5, false] }, "101010100"],
  ])("%j holds for %s of a, 1 as text, nothing, 1, 0, true, false, missing and null", (condition, expected) => {
    expect(truthTable(condition, scalars)).toBe(expected);
  });

  test.each([
    [{ "<": [x, 18] }, "1100", "111"],
    [{ "<=": [x, 18] }, "1110", "111"],
    [{ ">": [x, 18] }, "0001", "000"],
    [{ ">=": [x, 18] }, "0011", "000"],
    [{ ">=": [18, x] }, "1110", "111"],
    [{ ">": [x, -5] }, "1111", "111"],
    [{ "<": [-5, x, 18] }, "1100", "111"],
    [{ "<=": [18, x, 20] }, "0011", "000"],
    [{ ">": [20, x, 5] }, "0111", "000"],
  ])("%j compares numbers, and takes missing and false for 0", (condition, numbers, others) => {
    expect(truthTable(condition, [-1, 17, 18, 19])).toBe(numbers);
    expect(truthTable(condition, [undefined, false, ""])).toBe(others);
  });

  test("a missing attribute is neither at most nor at least 0, as in the Go daemon", () => {
    expect(truthTable({ "<=": [x, 0] }, [undefined, 0])).toBe("01");
    expect(truthTable({ ">=": [x, 0] }, [undefined, 0])).toBe("01");
  });

  test("text is part of text, or an element of a list, but never a part of an element", () => {
    const values = ["xadminx", ["admin"], ["superadmin"], [], 5, true, undefined];
    expect(truthTable({ in: ["admin", x] }, values)).toBe("1100000");
  });

  test("a number is an element of a list, and not of a number", () => {
    expect(truthTable({ in: [5, x] }, [[5, 6], [6], ["5"], 5, "5", undefined])).toBe("100000");
    expect(truthTable({ in: [true, x] }, [[true], true])).toBe("10");
  });

  test("lists count as true where they hold something true", () => {
    expect(truthTable(x, [["a"], [], [0, 1]])).toBe("101");
  });

  test("starts_with and ends_with are about text only, and their absence can be tested", () => {
    expect(truthTable({ starts_with: [x, "ab"] }, ["abc", "Abc", "xab", 5, undefined])).toBe("10000");
    expect(truthTable({ ends_with: [x, "bc"] }, ["abc", "bcd", undefined])).toBe("100");
    expect(truthTable({ "!": [{ starts_with: [x, "ab"] }] }, ["abc", "b", undefined])).toBe("011");
    expect(truthTable({ starts_with: [x, 5] }, ["5", 5])).toBe("00");
  });

  const versions = [
    "1.2.2",
    "1.2.3-rc.1",
    "1.2.3",
    "v1.2.3+b",
    "1.2.4",
    "1.3.0-0",
    "1.3.0",
    "2.0.0-a",
    "2.0.0",
    "1",
    "no",
  ];

  test.each([
    ["=", "00110000000"],
    ["!=", "11001111110"],
    ["<", "11000000010"],
    ["<=", "11110000010"],
    [">", "00001111100"],
    [">=", "00111111100"],
    ["~", "11111000000"],
    ["^", "11111110010"],
    ["?", "00000000000"],
  ])("sem_ver %s compares with 1.2.3", (operator, expected) => {
    expect(truthTable({ sem_ver: [x, operator, "1.2.3"] }, versions)).toBe(expected);
    expect(truthTable({ sem_ver: [x, operator, "V1.2.3"] }, versions)).toBe(expected);
  });

  test("sem_ver takes the attribute on either side, and nothing compares with what is no version", () => {
    expect(truthTable({ sem_ver: ["1.2.3", "<", x] }, versions)).toBe("00001111100");
    expect(truthTable({ sem_ver: [x, ">", 1.2] }, versions)).toBe("11111111100");
    expect(truthTable({ sem_ver: [x, "!=", "1.2.3.4"] }, versions)).toBe("00000000000");
  });

  test("a dotted path leads through objects", () => {
    expect(truthTable({ "==": [{ var: "x.y.z" }, 1] }, [{ y: { z: 1 } }, { y: 1 }, undefined])).toBe("100");
    expect(truthTable({ "==": [{ var: ["x"] }, "a"] }, ["a"])).toBe("1");
  });

  test("the flag's key is a constant", () => {
    expect(truthTable({ "==": [{ var: "$flagd.flagKey" }, "f"] }, [undefined])).toBe("1");
    expect(truthTable({ "==": [{ var: "$flagd.other" }, null] }, [undefined])).toBe("1");
  });

  test.each([
    ["<", 100, [1, 0, 0, 0]],
    ["<", 100.5, [1, 1, 1, 0]],
    ["<=", 100, [1, 1, 1, 0]],
    ["<=", 100.5, [1, 1, 1, 0]],
    [">", 100, [0, 0, 0, 1]],
    [">", 100.5, [0, 0, 0, 1]],
    [">=", 100, [0, 1, 1, 1]],
    [">=", 100.5, [0, 0, 0, 1]],
    ["==", 100, [0, 1, 1, 0]],
    ["==", 100.5, [0, 0, 0, 0]],
    ["===", 100, [0, 1, 1, 0]],
    ["===", "100", [0, 0, 0, 0]],
    ["==", "100", [0, 1, 1, 0]],
    ["!=", 100, [1, 0, 0, 1]],
  ])("the timestamp %s %s counts whole seconds", (operator, seconds, expected) => {
    const targeting = { if: [{ [operator]: [{ var: "$flagd.timestamp" }, seconds] }, "on", "off"] };
    const found = [99_999, 100_000, 100_999, 101_000].map((now) => (variantOf(targeting, {}, now) === "on" ? 1 : 0));
    expect(found).toEqual(expected);
  });

  test("evaluators may hold lists and results too", () => {
    const file = flagdFile(
      { if: [{ in: [x, { $ref: "list" }] }, { $ref: "result" }] },
      {},
      {
        $evaluators: { list: ["a"], result: { if: [true, "on"] } },
      },
    );
    expect(evaluate(importFile(file), "f", { x: "a" }).variant).toBe("on");
  });
});

describe("refusals", () => {
  test.each([
    [{ if: [{ "==": [{ "+": [x, 1] }, 2] }, "on"] }, 'if[0].==[0].+: the operator "+" cannot be expressed'],
    [{ if: [{ some: [x, {}] }, "on"] }, 'if[0].some: the operator "some" cannot be expressed'],
    [{ if: [{ missing: ["x"] }, "on"] }, 'if[0].missing: the operator "missing" cannot be expressed'],
    [{ if: [true, { substr: ["on", 1] }] }, 'if[1].substr: the operator "substr" cannot be expressed'],
    [
      { if: [{ "==": [{ cat: ["a", x] }, "ab"] }, "on"] },
      "if[0].==[0].cat: cat with a value of the context can only be what fractional hashes",
    ],
    [
      { if: [{ "==": [x, { var: "y" }] }, "on"] },
      "if[0].==: compares two values of the context with each other; a condition compares an attribute with constants",
    ],
    [
      { if: [{ in: [x, { var: "y" }] }, "on"] },
      "if[0].in: compares two values of the context with each other; a condition compares an attribute with constants",
    ],
    [
      { if: [{ in: [x, "a,b"] }, "on"] },
      'if[0].in: looks an attribute up in the text "a,b"; write its parts as a list',
    ],
    [{ if: [{ in: [x, ["a", x]] }, "on"] }, "if[0].in[1][1]: a list may hold constants only"],
    [
      { if: [{ "<": [x, "b"] }, "on"] },
      'if[0].<: orders text ("b"), which a condition cannot do; only numbers have an order',
    ],
    [
      { if: [{ "==": [x, ["a"]] }, "on"] },
      "if[0].==: compares an attribute with a list; a condition compares with text, numbers and booleans",
    ],
    [{ if: [{ "==": [x] }, "on"] }, "if[0].==: takes two arguments"],
    [{ if: [{ "==": [x, 1, 2] }, "on"] }, "if[0].==: takes two arguments"],
    [{ if: [{ "<": [x] }, "on"] }, "if[0].<: takes two arguments, or three to test what lies between"],
    [
      { if: [{ starts_with: [x, { var: "y" }] }, "on"] },
      "if[0].starts_with: compares with a value of the context instead of a constant",
    ],
    [{ if: [{ sem_ver: [x, "="] }, "on"] }, "if[0].sem_ver: takes a version, an operator and a version"],
    [{ if: [{ sem_ver: [x, "=", x] }, "on"] }, "if[0].sem_ver: compares an attribute with a constant version"],
    [{ if: [{ "!": [{ $ref: "no" }] }, "on"] }, 'if[0].![0].$ref: there is no evaluator "no"'],
    [{ if: [{ a: 1, b: 2 }, "on"] }, "if[0]: has 2 members where an operation has one"],
    [{ if: [{}, "on"] }, "if[0]: is an empty object where an expression is expected"],
    [{ if: "on" }, "if: must be a list"],
    [{ var: "x" }, "var: takes the variant's name from the context; a rule serves a variant that it names"],
    [{ if: [true, "blue"] }, 'if[1]: the flag has no variant "blue"'],
    [{ if: [{ "==": [x, 1] }, "on", 7] }, 'if[2]: the flag has no variant "7"'],
    [
      { "!!": [{ var: "roles.0" }] },
      '!![0].var: "roles.0" takes an element of a list by its position, which an attribute cannot',
    ],
    [{ "!!": [{ var: "" }] }, "!![0].var: must name an attribute as text; the context as a whole cannot be compared"],
    [{ "!!": [{ var: "$now" }] }, "!![0].var: $now is reserved"],
    [{ "==": [{ var: ["x", { var: "y" }] }, 1] }, "==[0].var[1]: the default of var must be a constant"],
  ])("%j is refused by name and place", (targeting, expected) => {
    expect(refusalsOf(targeting)).toEqual([`flags.f.targeting.${expected}`]);
  });

  test("every place that cannot be translated is named", () => {
    const targeting = { if: [{ and: [{ max: [1, x] }, { missing: ["x"] }] }, { substr: ["on", 1] }, "blue"] };
    expect(refusalsOf(targeting).map((line) => line.split(":")[0])).toEqual([
      "flags.f.targeting.if[0].and[0].max",
      "flags.f.targeting.if[0].and[1].missing",
      "flags.f.targeting.if[1].substr",
      "flags.f.targeting.if[2]",
    ]);
  });

  test("a fault in an evaluator is named where it is written, and evaluators do not nest", () => {
    const $evaluators = { broken: { "==": [{ "*": [x, 2] }, 4] }, nested: { "!": { $ref: "broken" } } };
    expect(refusalsOf({ if: [{ $ref: "broken" }, "on"] }, { $evaluators })).toEqual([
      '$evaluators.broken.==[0].*: the operator "*" cannot be expressed',
    ]);
    expect(refusalsOf({ if: [{ $ref: "nested" }, "on"] }, { $evaluators })).toEqual([
      "$evaluators.nested.!.$ref: flagd resolves no references inside evaluators",
    ]);
  });

  test("a condition or a list of rules beyond the limits is refused", () => {
    const branches = Array.from({ length: 257 }, (_, index) => [{ "==": [x, `v${index}`] }, "on"]).flat();
    expect(refusalsOf({ if: branches })).toEqual(["flags.f.targeting: needs 257 rules; a flag has at most 256"]);
    let nested: unknown = { "==": [x, "a"] };
    for (let depth = 0; depth < 20; depth++) nested = { or: [{ and: [nested, { "==": [{ var: "y" }, depth] }] }, x] };
    expect(refusalsOf({ if: [nested, "on"] })).toEqual([
      expect.stringMatching(
        /^flags\.f\.targeting\.if\[1\]: needs a condition of \d+ nodes and 4\d levels; at most 4096 and 32 are possible$/,
      ),
    ]);
  });
});

test("rules that multiply beyond measure are refused before they take time or memory", () => {
  const chain = (size: number) => {
    return { if: Array.from({ length: size }, (_, index) => [{ "==": [x, `v${index}`] }, `r${index}`]).flat() };
  };
  expect(refusalsOf({ if: [{ "==": [chain(500), chain(500)] }, "on"] })).toEqual([
    "flags.f.targeting.if[0].==: branches into more than 1024 cases",
  ]);
  expect(refusalsOf({ or: [chain(500), chain(500)] })).toEqual([
    "flags.f.targeting.or: branches into more than 1024 cases",
  ]);
  expect(refusalsOf({ fractional: [chain(500), ["on", 1], ["off", 1], ["true", 1]] })).toEqual([
    "flags.f.targeting.fractional: branches into more than 1024 cases",
  ]);
  expect(refusalsOf(chain(1_100))).toEqual(["flags.f.targeting.if: branches into more than 1024 cases"]);
});

test("warnings name what is not exact, once for each flag", () => {
  const targeting = { if: [{ "<": [x, 18] }, "on", { "<": [{ var: "y" }, 5] }, "off", { in: [x, ["5"]] }, "on"] };
  const { warnings } = importFile(flagdFile(targeting));
  expect(warnings.map(({ key, path }) => `${key} ${path}`)).toEqual([
    "f flags.f.targeting.if[0].<",
    "f flags.f.targeting.if[4].in",
  ]);
});

test("plain comparisons of text give no warnings", () => {
  const targeting = { if: [{ and: [{ "==": [x, "a"] }, { ends_with: [x, "b"] }, { in: [x, ["a"]] }] }, "on"] };
  expect(importFile(flagdFile(targeting)).warnings).toEqual([]);
});
