import { isDeepStrictEqual } from "node:util";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { murmur3 } from "../../src/engine/index.js";
import { toFlagdFile, toFlagdFlag } from "../../src/flagd/index.js";
import { evaluate, flagdFile, importFile } from "./evaluate.js";

type Json = Parameters<typeof fromJson>[1];

const variants = { on: "ON", off: "OFF", red: "RED" };

function exportFlag(targeting: JsonObject, segments: JsonObject[] = [], flag: JsonObject = {}) {
  const file = {
    flags: [{ key: "f", type: "FLAG_TYPE_STRING", kind: "FLAG_KIND_OPERATIONAL", variants, ...flag }],
    targetings: [{ flagKey: "f", ...targeting }],
    segments,
  };
  const result = toFlagdFile(fromJson(FlagFileSchema, file), "production");
  const flags = result.json.flags as JsonObject;
  return { ...result, flag: flags.f as JsonObject | undefined };
}

/** What comes first wherever a client's buckets matter: those that have others are given a variant that there is not. */
const otherBuckets: Json[] = [
  { "!==": [{ fractional: [{ cat: ["frac", "tional"] }, ["other", 75], ["v2", 1], ["other", 24]] }, "v2"] },
  "[this client buckets otherwise than the server: use RPC or OFREP]",
];

/** The branches of a flag, behind that. */
function branchesOf(flag: JsonObject | undefined): Json[] {
  const branches = ((flag?.targeting as JsonObject | undefined)?.if ?? []) as Json[];
  return isDeepStrictEqual(branches.slice(0, 2), otherBuckets) ? branches.slice(2) : branches;
}

function exportCondition(condition: Json, segments: JsonObject[] = []): Json {
  const rules = [{ id: "r", condition, serve: { variant: "on" } }];
  const { flag, left } = exportFlag({ enabled: true, rules, default: { variant: "off" } }, segments);
  expect(left).toEqual([]);
  return branchesOf(flag)[0] ?? null;
}

function leftBy(targeting: JsonObject): string[] {
  const { flag, left } = exportFlag({ enabled: true, ...targeting });
  expect(flag).toBeUndefined();
  return left.map(({ key, path, description }) => `${key} ${path}: ${description}`);
}

const match = (attribute: string, operator: string, ...values: Json[]): JsonObject => {
  return { match: { attribute, operator: `OPERATOR_${operator}`, values } };
};
const a = { var: "a" };
const there = { "!==": [a, null] };
/** For `and`. */
const text = [there, { "!!": [{ starts_with: [a, ""] }] }];

describe("flags", () => {
  test("a flag without rules has its values, its default variant and its metadata, and nothing that flagd's schema has not", () => {
    const { json, left, warnings } = exportFlag({ enabled: true, default: { variant: "on" } }, [], {
      description: "For a test",
      owner: "web",
      tags: ["t"],
      ticket: "T-1",
      metadata: { team: "x" },
    });
    expect({ left, warnings }).toEqual({ left: [], warnings: [] });
    expect(json).toEqual({
      $schema: "https://flagd.dev/schema/v0/flags.json",
      flags: {
        f: { state: "ENABLED", variants, metadata: { team: "x" }, defaultVariant: "on" },
      },
    });
  });

  test.each([
    ["boolean", { on: true, off: false }],
    ["number", { on: 1, off: 0.5 }],
    ["object", { on: { a: [1, null] }, off: {} }],
  ])("%s variants keep their values", (type, values) => {
    const { flag } = exportFlag({ enabled: true, default: { variant: "on" } }, [], {
      type: `FLAG_TYPE_${type.toUpperCase()}`,
      variants: values,
    });
    expect(flag?.variants).toEqual(values);
  });

  test("without a default the default variant is empty, as flagd itself sends it: the evaluation in Rust refuses null", () => {
    expect(exportFlag({ enabled: true }).flag).toMatchObject({ state: "ENABLED", defaultVariant: "" });
  });

  test("a flag that is off answers its off variant as an enabled flag without rules", () => {
    const rules = [{ id: "r", condition: match("a", "MATCHES", "x"), serve: { variant: "on" } }];
    const off = { state: "ENABLED", variants, defaultVariant: "off" };
    expect(exportFlag({ offVariant: "off", rules, default: { variant: "on" } }).flag).toEqual(off);
    expect(exportFlag({ enabled: true, killed: { reason: "x" }, offVariant: "off" }).flag).toEqual(off);
  });

  test("a flag that is off without an off variant is a disabled flag, with its rules where flagd has them", () => {
    const rule = { id: "r", condition: match("a", "IN", "x"), serve: { variant: "on" } };
    expect(exportFlag({ rules: [rule], default: { variant: "off" } }).flag).toEqual({
      state: "DISABLED",
      variants,
      defaultVariant: "off",
      targeting: { if: [{ "===": [a, "x"] }, "on"] },
    });
    const odd = exportFlag({ killed: {}, rules: [{ ...rule, condition: match("a", "MATCHES", "x") }] });
    expect(odd.flag).toEqual({ state: "DISABLED", variants, defaultVariant: "" });
    expect(odd.warnings.map(({ path }) => path)).toContain("targeting.rules[0].condition.match");
  });

  test("metadata without a name leaves the flag out: flagd's evaluation in Python would refuse the whole file", () => {
    const { flag, left } = exportFlag({ enabled: true, default: { variant: "on" } }, [], { metadata: { "": "x" } });
    expect(flag).toBeUndefined();
    expect(left).toEqual([
      { key: "f", path: "metadata", description: "flagd's evaluation in Python refuses metadata without a name" },
    ]);
  });

  test("a flag without settings in the environment is disabled", () => {
    const file = fromJson(FlagFileSchema, {
      flags: [{ key: "f", type: "FLAG_TYPE_STRING", variants }],
      targetings: [{ flagKey: "f", environment: "staging", enabled: true, default: { variant: "on" } }],
    });
    expect(toFlagdFile(file, "production").json.flags).toMatchObject({ f: { state: "DISABLED" } });
    expect(toFlagdFile(file, "staging").json.flags).toMatchObject({ f: { state: "ENABLED", defaultVariant: "on" } });
  });

  test("a malformed flag is left, and the others are exported", () => {
    const file = fromJson(FlagFileSchema, {
      flags: ["bad", "good"].map((key) => ({ key, type: "FLAG_TYPE_STRING", variants })),
      targetings: ["bad", "good"].map((flagKey) => ({
        flagKey,
        enabled: true,
        default: { variant: flagKey === "bad" ? "blue" : "on" },
      })),
    });
    const { json, left } = toFlagdFile(file, "production");
    expect(Object.keys(json.flags as JsonObject)).toEqual(["good"]);
    expect(left).toEqual([
      { key: "bad", path: "targeting.default.variant", description: 'the flag has no variant "blue"' },
    ]);
  });
});

describe("rules", () => {
  test("targets, rules and the default follow each other", () => {
    const { flag } = exportFlag({
      enabled: true,
      targets: [{ variant: "red", targetingKeys: ["u1", "u2"] }],
      rules: [{ id: "r", condition: match("a", "EXISTS"), serve: { variant: "on" } }],
      default: { variant: "off" },
    });
    expect(flag).toMatchObject({
      defaultVariant: "off",
      targeting: { if: [{ in: [{ var: "targetingKey" }, ["u1", "u2"]] }, "red", { "!==": [a, null] }, "on"] },
    });
  });

  test("a default rollout is the last branch, and without a key the caller's own default applies", () => {
    const rollout = {
      shares: [
        { variant: "on", weight: 25 },
        { variant: "off", weight: 75 },
      ],
    };
    expect(exportFlag({ enabled: true, default: { rollout } }).flag).toMatchObject({
      defaultVariant: "",
      targeting: {
        if: [
          ...otherBuckets,
          {
            fractional: [
              ["on", 25],
              ["off", 75],
            ],
          },
        ],
      },
    });
    const salted = exportFlag({ enabled: true, default: { rollout: { ...rollout, salt: "s" } } }).flag;
    expect(salted?.targeting).toEqual({
      if: [
        ...otherBuckets,
        {
          if: [
            { "!!": [{ var: "targetingKey" }] },
            { fractional: [{ cat: ["s", { var: "targetingKey" }] }, ["on", 25], ["off", 75]] },
            null,
          ],
        },
      ],
    });
  });

  test("a rollout by another attribute comes with a warning about values that are no text", () => {
    const shares = [
      { variant: "on", weight: 1 },
      { variant: "off", weight: 1 },
    ];
    const rollout = { shares, bucketBy: "account" };
    const { warnings, flag } = exportFlag({ enabled: true, default: { rollout } });
    expect(warnings.map(({ path }) => path)).toEqual(["", "targeting.default.rollout"]);
    expect(JSON.stringify(flag?.targeting)).toContain('{"cat":[{"var":"$flagd.flagKey"},{"var":"account"}]}');
  });

  test("what flagd does not have leaves the flag out, by name and place", () => {
    const rule = (condition: Json, serve: Json = { variant: "on" }) => ({
      rules: [{ id: "r", condition, serve }] as Json[],
    });
    expect(leftBy(rule(match("a", "MATCHES", "^x")))).toEqual([
      "f targeting.rules[0].condition.match: flagd has no regular expressions",
    ]);
    expect(leftBy(rule(match("a", "IN_CIDR", "10.0.0.0/8")))).toEqual([
      "f targeting.rules[0].condition.match: flagd has nothing like IN_CIDR",
    ]);
    expect(leftBy(rule(match("a", "AFTER", "2026-01-01T00:00:00Z")))).toEqual([
      "f targeting.rules[0].condition.match: flagd has nothing like AFTER",
    ]);
    const ignoring = (operator: string, text: string) => ({
      match: { attribute: "a", operator: `OPERATOR_${operator}`, values: [text], ignoreCase: true },
    });
    expect(leftBy(rule({ all: { conditions: [{ not: ignoring("IN", "é") }] } }))).toEqual([
      "f targeting.rules[0].condition.all.conditions[0].not.match: flagd cannot ignore the case of text beyond ASCII",
    ]);
    expect(leftBy(rule(ignoring("MATCHES", "x")))).toEqual([
      "f targeting.rules[0].condition.match: flagd cannot ignore case in a regular expression",
    ]);
    expect(leftBy(rule(ignoring("CONTAINS", "abcdefg")))).toEqual([
      "f targeting.rules[0].condition.match: flagd cannot ignore case in a part of a text that has more than 64 spellings",
    ]);
    for (const name of ["roles.0", "__proto__", "user.__proto__.id"]) {
      expect(leftBy(rule(match(name, "EXISTS")))).toEqual([
        `f targeting.rules[0].condition.match: flagd reads the attribute "${name}" otherwise`,
      ]);
    }
    for (const odd of [match("$now", "EXISTS"), match("$now", "EQUAL", 5000), match("$now", "IN", 5000)]) {
      expect(leftBy(rule(odd))).toEqual([
        expect.stringMatching(/^f targeting\.rules\[0\]\.condition\.match: flagd's timestamp has nothing like /),
      ]);
    }
    for (const within of [match("$now", "LESS", 1500), match("$now", "BEFORE", "2030-01-01T00:00:00.0000001Z")]) {
      expect(leftBy(rule(within))).toEqual([
        "f targeting.rules[0].condition.match.values[0]: flagd knows the time to the second only",
      ]);
    }
    expect(leftBy({ default: { rollout: { salt: " s", shares: [{ variant: "on", weight: 1 }] } } })).toEqual([
      "f targeting.default.rollout: flagd's Go daemon drops a blank at the start of a salt",
    ]);
  });

  test("a variant whose name flagd would not find again is left", () => {
    const { left } = exportFlag(
      { enabled: true, rules: [{ id: "r", condition: { all: {} }, serve: { variant: "<b>" } }] },
      [],
      { variants: { "<b>": "x" } },
    );
    expect(left.map(({ path }) => path)).toEqual(["targeting.rules[0].serve.variant"]);
  });
});

describe("conditions", () => {
  test.each([
    [match("a", "IN", "x"), { "===": [a, "x"] }],
    [match("a", "IN", 1, 2), { in: [a, [1, 2]] }],
    [match("a", "IN", "x", "y"), { and: [...text, { in: [a, ["x", "y"]] }] }],
    [match("a", "IN", "x", 1, true), { or: [{ "===": [a, "x"] }, { "===": [a, 1] }, { "===": [a, true] }] }],
    [match("targetingKey", "IN", "x", "y"), { in: [{ var: "targetingKey" }, ["x", "y"]] }],
    [match("a", "CONTAINS", "x"), { and: [...text, { in: ["x", a] }] }],
    [match("a", "STARTS_WITH", "x"), { and: [there, { "!!": [{ starts_with: [a, "x"] }] }] }],
    [
      match("a", "ENDS_WITH", "x", "y"),
      { and: [there, { "!!": [{ or: [{ ends_with: [a, "x"] }, { ends_with: [a, "y"] }] }] }] },
    ],
    [match("a", "EQUAL", 5), { "===": [a, 5] }],
    [match("a", "GREATER", 5), { and: [{ "!": [{ and: text }] }, { ">": [a, 5] }] }],
    [
      match("a", "LESS", 5),
      {
        and: [
          { "!==": [a, null] },
          { "!==": [a, false] },
          { "!==": [a, true] },
          { "!": [{ starts_with: [a, ""] }] },
          { "<": [a, 5] },
        ],
      },
    ],
    [match("a", "SEMVER_LESS", "v1.2"), { and: [...text, { "!!": [{ sem_ver: [a, "<", "1.2.0"] }] }] }],
    [match("$now", "GREATER_OR_EQUAL", 5000), { ">=": [{ var: "$flagd.timestamp" }, 5] }],
    [match("$now", "BEFORE", "1970-01-01T00:00:09Z"), { "<": [{ var: "$flagd.timestamp" }, 9] }],
    [
      match("$now", "LESS", 1000, 2000),
      { or: [{ "<": [{ var: "$flagd.timestamp" }, 1] }, { "<": [{ var: "$flagd.timestamp" }, 2] }] },
    ],
    [match("$now", "BEFORE", "1970-01-01 00:59:60.000Z"), { "<": [{ var: "$flagd.timestamp" }, 3_600] }],
    [match("$now", "BEFORE", "0030-01-01 00:00:00Z"), { "<": [{ var: "$flagd.timestamp" }, -61_220_448_000] }],
    [{ all: {} }, true],
    [{ not: { any: {} } }, true],
    [{ not: match("a", "EXISTS") }, { "!": [{ "!==": [a, null] }] }],
    [
      {
        all: {
          conditions: [
            { any: { conditions: [match("a", "STARTS_WITH", "x"), match("b", "IN", "y")] } },
            match("c", "EXISTS"),
          ],
        },
      },
      {
        and: [
          { or: [{ and: [there, { "!!": [{ starts_with: [a, "x"] }] }] }, { "===": [{ var: "b" }, "y"] }] },
          { "!==": [{ var: "c" }, null] },
        ],
      },
    ],
    [
      { rollout: { start: 10, weight: 20, totalWeight: 100 } },
      {
        "!!": [
          {
            fractional: [
              [false, 10],
              [true, 20],
              [false, 70],
            ],
          },
        ],
      },
    ],
    [
      { any: { conditions: [match("a", "IN", "x"), { rollout: { weight: 1, totalWeight: 4 } }] } },
      {
        or: [
          { "===": [a, "x"] },
          {
            "!!": [
              {
                fractional: [
                  [true, 1],
                  [false, 3],
                ],
              },
            ],
          },
        ],
      },
    ],
    [{ rollout: { weight: 100000 } }, { "!!": [{ var: "targetingKey" }] }],
  ] as [Json, Json][])("%j becomes %j", (condition, expected) => {
    expect(exportCondition(condition)).toEqual(expected);
  });

  test("a condition that never holds has no branch", () => {
    expect(exportCondition({ any: {} })).toBeNull();
  });

  test("a segment is written out, with its own key as the salt", () => {
    const segments = [
      { key: "staff", included: ["u1"], excluded: ["u2"], condition: { segment: "half" } },
      { key: "half", condition: { rollout: { weight: 1, totalWeight: 2 } } },
    ];
    const key = { var: "targetingKey" };
    expect(exportCondition({ segment: "staff" }, segments)).toEqual({
      or: [
        { in: [key, ["u1"]] },
        {
          and: [
            { "!": [{ in: [key, ["u2"]] }] },
            { "!!": [key] },
            { "!!": [{ fractional: [{ cat: ["half", key] }, [true, 1], [false, 1]] }] },
          ],
        },
      ],
    });
  });

  test("a segment without a condition has whom it lists and nobody else", () => {
    const segments = [
      { key: "s", included: ["u1", ""], excluded: ["u2"] },
      { key: "nobody", excluded: ["u2"] },
    ];
    expect(exportCondition({ segment: "s" }, segments)).toEqual({ in: [{ var: "targetingKey" }, ["u1"]] });
    expect(exportCondition({ segment: "nobody" }, segments)).toBeNull();
  });
});

describe("clients with another version of fractional", () => {
  const half = {
    shares: [
      { variant: "on", weight: 1 },
      { variant: "off", weight: 1 },
    ],
  };
  const staff = { key: "staff", condition: { rollout: { weight: 1, totalWeight: 2 } } };
  const isMarked = (targeting: JsonObject, segments: JsonObject[] = []) => {
    const { flag } = exportFlag({ enabled: true, ...targeting }, segments);
    return ((flag?.targeting as JsonObject | undefined)?.if as Json[] | undefined)?.[1] === otherBuckets[1];
  };

  test("are told apart by the bucket of one text", () => {
    const bucketOf = (text: string) => Math.floor((murmur3(text) / 2 ** 32) * 100);
    expect(bucketOf("fractional")).toBe(75);
    // The third hashes CBOR: before a text of ten bytes it has 0x6a, a "j".
    expect(bucketOf("jfractional")).toBe(60);
    // The first takes the hash as a signed number, without its sign.
    expect((Math.abs(murmur3("fractional") | 0) / 0x7fffffff) * 100).toBeCloseTo(48.95);
  });

  test.each([
    ["a rollout", { default: { rollout: half } }],
    ["a rollout in a rule", { rules: [{ id: "r", condition: match("a", "IN", "x"), serve: { rollout: half } }] }],
    ["a share as a condition", { rules: [{ id: "r", condition: { segment: "staff" }, serve: { variant: "on" } }] }],
  ])("have an error, and not another answer, where a flag has %s", (_what, targeting) => {
    expect(isMarked(targeting, [staff])).toBe(true);
  });

  test.each([
    ["without a rollout", { rules: [{ id: "r", condition: match("a", "IN", "x"), serve: { variant: "on" } }] }],
    [
      "where one share has all",
      { default: { rollout: { shares: [{ variant: "on", weight: 1 }, { variant: "off" }] } } },
    ],
  ])("have the same answer %s", (_what, targeting) => {
    expect(isMarked(targeting)).toBe(false);
  });

  test("have no bucket to ask for where one share has all, which some take for invalid", () => {
    const allOn = (rollout: JsonObject) => {
      const shares = [{ variant: "on", weight: 1 }, { variant: "off" }];
      return exportFlag({ enabled: true, default: { rollout: { shares, ...rollout } } }).flag?.targeting;
    };
    const key = { var: "targetingKey" };
    expect(allOn({})).toEqual({ if: [{ if: [{ "!!": [key] }, "on", null] }] });
    expect(allOn({ bucketBy: "a" })).toEqual({ if: [{ if: [{ "!==": [a, null] }, "on", null] }] });
  });

  test("are no rule when the file is imported", () => {
    const { json } = exportFlag({ enabled: true, default: { rollout: half } });
    expect(importFile(json).file.targetings[0]?.rules).toHaveLength(1);
  });
});

describe("ignoring case", () => {
  const ignoring = (operator: string, text: string) => {
    return exportCondition({
      match: { attribute: "a", operator: `OPERATOR_${operator}`, values: [text], ignoreCase: true },
    });
  };
  const at = (value: Json, index: number) => ({ substr: [value, index, 1] });

  test("compares character by character", () => {
    expect(ignoring("STARTS_WITH", "1x")).toEqual({
      and: [...text, { "===": [at(a, 0), "1"] }, { in: [at(a, 1), ["x", "X"]] }],
    });
    const end = { substr: [a, -2] };
    expect(ignoring("ENDS_WITH", "@X")).toEqual({
      and: [...text, { "===": [at(end, 0), "@"] }, { in: [at(end, 1), ["x", "X"]] }],
    });
    expect(ignoring("IN", "X")).toEqual({
      and: [...text, { in: [at(a, 0), ["x", "X"]] }, { "===": [{ substr: [a, 0, 1] }, a] }],
    });
    expect(ignoring("CONTAINS", "x1")).toEqual({ and: [...text, { or: [{ in: ["x1", a] }, { in: ["X1", a] }] }] });
  });

  test("takes the dotted capital I for an i only where a text may go on: its lower case has a dot above after it", () => {
    const dotted = { in: [at(a, 0), ["i", "I", "\u0130"]] };
    const plain = { in: [at(a, 0), ["i", "I"]] };
    expect(ignoring("STARTS_WITH", "i")).toEqual({ and: [...text, dotted] });
    expect(ignoring("IN", "i")).toEqual({ and: [...text, plain, { "===": [at(a, 0), a] }] });
    expect(ignoring("ENDS_WITH", "i")).toEqual({
      and: [...text, { in: [at({ substr: [a, -1] }, 0), ["i", "I"]] }],
    });
    expect(ignoring("STARTS_WITH", "ix")).toMatchObject({ and: [...text, plain, {}] });
  });

  test("knows every character whose lower case has ASCII in it", () => {
    const found: string[] = [];
    for (let code = 0x80; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code);
      if (/[\0-\x7f]/.test(character.toLowerCase())) found.push(character);
    }
    expect(found).toEqual(["\u0130", "\u212a"]);
  });
});

describe("prerequisites", () => {
  const SPLIT = {
    shares: [
      { variant: "on", weight: 1 },
      { variant: "off", weight: 2 },
      { variant: "red", weight: 3 },
    ],
  };
  const key = { var: "targetingKey" };
  const inList = (...keys: string[]) => ({ in: [key, keys] });

  /** What the flag `f` becomes, which requires `on` of `g`, where `g` has this targeting. */
  function exportRequiring(g: JsonObject | undefined, more: JsonObject[] = [], offVariant = "off") {
    const requires = { enabled: true, offVariant, prerequisites: [{ flagKey: "g", variants: ["on"] }] };
    const targetings: JsonObject[] = [{ flagKey: "f", ...requires, default: { variant: "red" } }];
    if (g !== undefined) targetings.push({ flagKey: "g", offVariant: "off", ...g });
    targetings.push(...more);
    const flags = targetings.map(({ flagKey }) => ({ key: flagKey ?? "", type: "FLAG_TYPE_STRING", variants }));
    const result = toFlagdFile(fromJson(FlagFileSchema, { flags, targetings }), "production");
    return { ...result, flag: (result.json.flags as JsonObject).f as JsonObject | undefined };
  }

  test.each<[string, JsonObject | undefined]>([
    ["is missing", undefined],
    ["is off, even where its off variant is accepted", { offVariant: "on", default: { variant: "on" } }],
    ["is killed", { enabled: true, killed: {}, offVariant: "on", default: { variant: "on" } }],
    ["is malformed", { enabled: true, default: { variant: "blue" } }],
    ["always answers another variant", { enabled: true, default: { variant: "off" } }],
    ["has no default", { enabled: true }],
    ["answers another variant by every rule", { enabled: true, targets: [{ variant: "red", targetingKeys: ["u"] }] }],
  ])("a flag whose prerequisite %s always answers its off variant", (_, g) => {
    expect(exportRequiring(g).flag).toEqual({ state: "ENABLED", variants, defaultVariant: "off" });
    expect(exportRequiring(g, [], "").flag).toEqual({ state: "ENABLED", variants, defaultVariant: "" });
  });

  test("a prerequisite that always answers an accepted variant leaves no trace", () => {
    const rules = [{ id: "r", condition: match("a", "MATCHES", "x"), serve: { variant: "on" } }];
    const { flag, left } = exportRequiring({ enabled: true, rules, default: { variant: "on" } });
    expect(left.map(({ key: name }) => name)).toEqual(["g"]);
    expect(flag).toEqual({ state: "ENABLED", variants, defaultVariant: "red" });
  });

  test("the rules of a prerequisite become a condition", () => {
    const { flag } = exportRequiring({
      enabled: true,
      targets: [{ variant: "off", targetingKeys: ["u"] }],
      rules: [{ id: "r", condition: match("a", "IN", "x"), serve: { variant: "on" } }],
    });
    const answers = { if: [inList("u"), false, { "===": [a, "x"] }, true, false] };
    expect(flag).toMatchObject({ defaultVariant: "red", targeting: { if: [{ "!": [answers] }, "off"] } });
  });

  test("without an off variant the caller's own default applies", () => {
    const { flag } = exportRequiring({ enabled: true, targets: [{ variant: "on", targetingKeys: ["u"] }] }, [], "");
    expect(flag).toMatchObject({ defaultVariant: "", targeting: { if: [{ "!": [inList("u")] }, null, "red"] } });
  });

  test("a rollout of a prerequisite hashes with its own key", () => {
    const { flag } = exportRequiring({ enabled: true, default: { rollout: SPLIT } });
    const bucket = { fractional: [{ cat: ["g", key] }, [true, 1], [false, 5]] };
    expect(branchesOf(flag)).toEqual([{ "!": [{ and: [{ "!!": [key] }, { "!!": [bucket] }] }] }, "off"]);
  });

  test("prerequisites of prerequisites are written out, and where they fail the off variant may be accepted", () => {
    const requiresH = {
      enabled: true,
      prerequisites: [{ flagKey: "h", variants: ["red"] }],
      default: { variant: "off" },
    };
    const h = { flagKey: "h", enabled: true, targets: [{ variant: "red", targetingKeys: ["u"] }] };
    const { flag } = exportRequiring({ ...requiresH, offVariant: "on" }, [h]);
    expect(flag?.targeting).toEqual({ if: [{ "!": [{ "!": [inList("u")] }] }, "off"] });
  });

  test("what flagd does not have leaves the flag out too that requires it, by the place there", () => {
    const rules = [{ id: "r", condition: match("a", "MATCHES", "x"), serve: { variant: "on" } }];
    const { flag, left } = exportRequiring({ enabled: true, rules });
    expect(flag).toBeUndefined();
    expect(left).toContainEqual({
      key: "f",
      path: "targeting.prerequisites[0].g.rules[0].condition.match",
      description: "flagd has no regular expressions",
    });
  });

  test("one that always fails decides, whatever another is", () => {
    const rules = [{ id: "r", condition: match("a", "MATCHES", "x"), serve: { variant: "on" } }];
    const file = fromJson(FlagFileSchema, {
      flags: ["f", "g"].map((name) => ({ key: name, type: "FLAG_TYPE_STRING", variants })),
      targetings: [
        {
          flagKey: "f",
          enabled: true,
          offVariant: "off",
          prerequisites: ["g", "gone"].map((flagKey) => ({ flagKey, variants: ["on"] })),
          default: { variant: "on" },
        },
        { flagKey: "g", enabled: true, rules },
      ],
    });
    expect(toFlagdFile(file, "production").json.flags).toEqual({
      f: { state: "ENABLED", variants, defaultVariant: "off" },
    });
  });

  test("a tree of them that grows without bound is left out, soon", () => {
    const names = Array.from({ length: 24 }, (_, index) => `n${index}`);
    const targetings = names.map((flagKey, index) => ({
      flagKey,
      enabled: true,
      prerequisites: [1, 2].flatMap((step) => {
        const other = names[index + step];
        return other === undefined ? [] : [{ flagKey: other, variants: ["on"] }];
      }),
      targets: [{ variant: "on", targetingKeys: ["u"] }],
    }));
    const flags = names.map((name) => ({ key: name, type: "FLAG_TYPE_STRING", variants }));
    const { json, left } = toFlagdFile(fromJson(FlagFileSchema, { flags, targetings }), "production");
    expect(Object.keys(json.flags as JsonObject)).toContain("n23");
    expect(left.filter(({ key: name }) => name === "n0")).toEqual([
      {
        key: "n0",
        path: "targeting",
        description: "what it requires of other flags is too much to write into one flag of flagd",
      },
    ]);
    expect(JSON.stringify(json).length).toBeLessThan(10_000_000);
  });
});

describe("what is said once, of all flags of a kind", () => {
  const halves = ["on", "off"].map((variant) => ({ variant, weight: 1 }));
  const kindsOf = (targeting: JsonObject) => {
    const { warnings } = exportFlag({ enabled: true, ...targeting });
    expect(warnings.every(({ key, path }) => key === "" && path === "")).toBe(true);
    return warnings.map(({ description }) => /^every flag with (\w+): /.exec(description)?.[1]);
  };
  const ruleOf = (condition: JsonObject) => ({ rules: [{ id: "r", condition, serve: { variant: "on" } }] });

  test.each<[string, JsonObject, string[]]>([
    ["one variant for everyone", { default: { variant: "on" } }, []],
    ["a rollout", { default: { rollout: { shares: halves } } }, ["shares"]],
    [
      "a rollout with one share, which nobody hashes apart",
      { default: { rollout: { shares: [halves[0] ?? {}] } } },
      [],
    ],
    ["a rule", ruleOf(match("a", "IN", "x")), ["rules"]],
    ["a rule for a share", ruleOf({ rollout: { weight: 5 } }), ["rules", "shares"]],
    ["a rule for a share that is everyone", ruleOf({ rollout: { weight: 100_000 } }), ["rules"]],
    ["a rule for versions", ruleOf(match("v", "SEMVER_LESS", "2.0.0")), ["rules", "versions"]],
  ])("%s", (_, targeting, kinds) => {
    expect(kindsOf(targeting)).toEqual(kinds);
  });

  test("of a prerequisite it is said too, and once", () => {
    const flags = ["f", "g"].map((name) => ({ key: name, type: "FLAG_TYPE_STRING", variants }));
    const split = { enabled: true, default: { rollout: { shares: halves } } };
    const targetings = [
      { ...split, flagKey: "f", prerequisites: [{ flagKey: "g", variants: ["on"] }] },
      { ...split, flagKey: "g" },
    ];
    const { warnings } = toFlagdFile(fromJson(FlagFileSchema, { flags, targetings }), "production");
    expect(warnings.map(({ description }) => description)).toEqual([
      expect.stringMatching(/^every flag with shares: /),
    ]);
  });
});

test("a flag whose shares never come to matter is for all clients", () => {
  const nobody = { all: { conditions: [{ rollout: { weight: 5 } }, { any: {} }] } };
  const rules = [nobody, match("a", "IN", "x")].map((condition, index) => {
    return { id: `r${index}`, condition, serve: { variant: "on" } };
  });
  const { flag, warnings } = exportFlag({ enabled: true, rules, default: { variant: "off" } });
  expect(flag?.targeting).toEqual({ if: [{ "===": [a, "x"] }, "on"] });
  expect(warnings.map(({ description }) => description)).toEqual([expect.stringMatching(/^every flag with rules: /)]);
});

describe("what is synced", () => {
  const flag = fromJson(FlagSchema, { key: "f", type: "FLAG_TYPE_STRING", variants, description: "For people" });
  const toSynced = (targeting: JsonObject, segment: JsonObject = {}) => {
    const read =
      <T>(value: T) =>
      () =>
        value;
    return toFlagdFlag(
      flag,
      {
        flag: read(flag),
        targeting: read(fromJson(TargetingSchema, targeting)),
        segment: read(fromJson(SegmentSchema, segment)),
        problems: read([]),
      },
      "sync",
    );
  };
  const rules = [{ id: "r", condition: { segment: "s" }, serve: { variant: "on" } }];

  test("is what flagd itself sends, and nothing that clients do not use", () => {
    expect(toSynced({ enabled: true }).definition).toEqual({ state: "ENABLED", variants, defaultVariant: "" });
    const off = { state: "DISABLED", variants, defaultVariant: "" };
    expect(toSynced({ enabled: false, rules, default: { variant: "on" } }).definition).toEqual(off);
  });

  test("has no more targeting keys than clients can take", () => {
    const included = Array.from({ length: 200_001 }, (_, index) => `user-${index}`);
    const { definition, left } = toSynced({ enabled: true, rules }, { key: "s", included });
    expect(definition).toBeUndefined();
    expect(left.map(({ path, description }) => `${path} ${description}`)).toEqual([
      "targeting has more conditions, values and targeting keys than flagd's clients can be sent",
    ]);
  });
});

test("a salt beyond ASCII comes with a warning", () => {
  const rollout = { salt: "größe", shares: [{ variant: "on", weight: 1 }] };
  const { warnings } = exportFlag({ enabled: true, default: { rollout } });
  expect(warnings.map(({ path, description }) => `${path} ${description}`)).toEqual([
    expect.stringMatching(/^targeting\.default\.rollout the salt is not ASCII: .*JavaScript and \.NET/),
  ]);
});

describe("there and back", () => {
  const fromFlagd = (targeting: unknown) => {
    const imported = importFile(flagdFile(targeting));
    expect(imported.refused).toEqual([]);
    return toFlagdFile(imported.file, "production");
  };

  test("an `in` on an attribute stays one, for text and lists alike", () => {
    const { json, left } = fromFlagd({
      if: [{ in: ["admin", { var: "roles" }] }, "on", { in: [5, { var: "ids" }] }, "off"],
    });
    expect(left).toEqual([]);
    const targeting = { if: [{ in: ["admin", { var: "roles" }] }, "on", { in: [5, { var: "ids" }] }, "off"] };
    expect(json.flags).toMatchObject({ f: { targeting, defaultVariant: "default" } });
  });

  test("what only looks like it, but ignores case, is none", () => {
    const value = { attribute: "roles", operator: "OPERATOR_IN", values: ["a"], ignoreCase: true };
    const isHashable = { rollout: { weight: 1, totalWeight: 1, bucketBy: "roles" } };
    const { flag } = exportFlag({
      enabled: true,
      rules: [
        {
          id: "r",
          condition: { all: { conditions: [{ match: value }, { not: isHashable }] } },
          serve: { variant: "on" },
        },
      ],
    });
    expect(JSON.stringify(flag?.targeting)).not.toContain('{"in":["a",');
  });

  test("the shorthand keeps its default variant for callers without a key", () => {
    const { json } = fromFlagd({
      fractional: [
        ["on", 1],
        ["off", 3],
      ],
    });
    expect(json.flags).toMatchObject({
      f: {
        defaultVariant: "default",
        targeting: {
          if: [
            ...otherBuckets,
            { "!!": [{ var: "targetingKey" }] },
            {
              fractional: [
                ["on", 1],
                ["off", 3],
              ],
            },
          ],
        },
      },
    });
  });

  test("an attribute as a condition comes back with the same meaning", () => {
    const { json, left } = fromFlagd({ if: [{ var: "beta" }, "on"] });
    expect(left).toEqual([]);
    const again = importFile(json);
    const found = [true, false, "x", "", 1, 0, undefined].map((beta) => evaluate(again, "f", { beta }).variant);
    expect(found).toEqual(["on", "default", "on", "default", "on", "default", "default"]);
  });
});
