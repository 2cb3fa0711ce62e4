import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { fromFlagdFile, isFlagdFile } from "../../src/flagd/index.js";
import { evaluate, flagdFile, importFile } from "./evaluate.js";

function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}.flagd.json`, import.meta.url), "utf8");
}

function importFixture(name: string) {
  const result = importFile(fixture(name));
  expect(result.refused).toEqual([]);
  return result;
}

const onOff = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" };

test("switches without targeting answer their default variant, and nothing where they are disabled", () => {
  const result = importFixture("switches");
  expect(evaluate(result, "searchCache", {})).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
  expect(evaluate(result, "mailOutage", {})).toMatchObject({ value: false, variant: "off", reason: "STATIC" });
  expect(evaluate(result, "floodHomepage", {})).toMatchObject({
    value: undefined,
    variant: undefined,
    reason: "DISABLED",
  });
});

test("a file with fields of other tools is read like any other", () => {
  const result = importFixture("shop");
  expect(evaluate(result, "compact-menu", { screen: "small" })).toMatchObject({
    value: true,
    reason: "TARGETING_MATCH",
  });
  expect(evaluate(result, "compact-menu", { screen: "large" })).toMatchObject({ value: false, reason: "DEFAULT" });
  expect(evaluate(result, "new-ledger", {})).toMatchObject({ variant: "off", reason: "DEFAULT" });
  const variants = ["a", "b", "c", "d", "e", "f"].map(
    (targetingKey) => evaluate(result, "new-ledger", { targetingKey }).variant,
  );
  expect(new Set(variants)).toEqual(new Set(["on", "off"]));
});

test("variants keep their names and values, and an if with equal branches is taken over", () => {
  const result = importFixture("demo");
  expect(evaluate(result, "workers", {})).toMatchObject({ variant: "5", value: 5 });
  expect(evaluate(result, "basketFailure", {})).toMatchObject({ variant: "off", value: 0 });
  expect(evaluate(result, "catalogFailure", { product_id: "P-1" }).variant).toBe("off");
  expect(evaluate(result, "catalogFailure", {}).variant).toBe("off");
});

test("shared evaluators are put in where they are referred to", () => {
  const result = importFixture("evaluators");
  expect(evaluate(result, "header-color", { email: "x@example.com" }).variant).toBe("red");
  expect(evaluate(result, "header-color", { email: "x@faas.com" }).reason).toBe("SPLIT");
  expect(evaluate(result, "theme", { email: "x@faas.com", beta: true }).value).toEqual({ dark: true, stars: 3 });
  expect(evaluate(result, "theme", { email: "x@faas.com", beta: 0 }).variant).toBe("plain");
});

test("a flag becomes an operational flag without owner and expiry, with the type of its values", () => {
  const [flag] = importFile(flagdFile(undefined, { description: "What it is for" })).file.flags;
  expect(flag).toMatchObject({
    kind: FlagKind.OPERATIONAL,
    type: FlagType.STRING,
    description: "What it is for",
    owner: "",
  });
  expect(flag?.expiresAt).toBeUndefined();
});

test("a flag's settings belong to the environment that was asked for", () => {
  const result = fromFlagdFile(flagdFile(undefined), { environment: "staging" });
  expect(result.kind === "imported" && result.file.targetings[0]?.environment).toBe("staging");
});

test("a flag's metadata goes over the file's", () => {
  const file = flagdFile(
    undefined,
    { metadata: { version: "2", team: "a" } },
    { metadata: { version: "1", flagSetId: "x" } },
  );
  expect(importFile(file).file.flags[0]?.metadata).toEqual({ version: "2", flagSetId: "x", team: "a" });
});

test("metadata that we cannot keep is left out with a warning", () => {
  const result = importFile(flagdFile(undefined, { metadata: { list: [1], version: "2" } }));
  expect(result.file.flags[0]?.metadata).toEqual({ version: "2" });
  expect(result.warnings).toEqual([
    {
      key: "f",
      path: "flags.f.metadata.list",
      description: "is neither text, a number nor a boolean, and is left out",
    },
  ]);
});

test.each([[null], [undefined], [""]])(
  "without a default variant (%j) the caller's own default applies",
  (defaultVariant) => {
    const result = importFile(flagdFile({ if: [{ "==": [{ var: "a" }, "b"] }, "on"] }, { defaultVariant }));
    expect(evaluate(result, "f", {})).toMatchObject({ variant: undefined, value: undefined, reason: "DEFAULT" });
    expect(evaluate(result, "f", { a: "b" }).variant).toBe("on");
  },
);

test("flags may be a list of objects with keys", () => {
  const result = importFile({
    flags: [
      { key: "a", ...onOff },
      { key: "b", ...onOff },
    ],
  });
  expect(result.file.flags.map(({ key }) => key)).toEqual(["a", "b"]);
});

test("each bad flag is refused by name and place, and the others are taken over", () => {
  const result = importFile({
    flags: {
      good: onOff,
      "bad key": onOff,
      text: "on",
      "no-state": { variants: { on: true } },
      "no-variants": { state: "ENABLED" },
      "empty-variants": { state: "ENABLED", variants: {} },
      "two-types": { state: "ENABLED", variants: { a: 1, b: "x" } },
      "list-value": { state: "ENABLED", variants: { a: [] } },
      "bad-default": { ...onOff, defaultVariant: "blue" },
      "bad-metadata": { ...onOff, metadata: 3 },
      "bad-name": { state: "ENABLED", variants: { ["x".repeat(129)]: 1 } },
    },
  });
  expect(result.file.flags.map(({ key }) => key)).toEqual(["good"]);
  expect(result.refused.map(({ key, path, description }) => `${key} | ${path} | ${description}`)).toEqual([
    "bad key | flags.bad key | the key must be 1 to 128 characters of A-Z a-z 0-9 . _ -",
    "text | flags.text | is not an object",
    "no-state | flags.no-state.state | must be ENABLED or DISABLED",
    "no-variants | flags.no-variants.variants | is missing",
    "empty-variants | flags.empty-variants.variants | at least one variant is required",
    "two-types | flags.two-types.variants.b | has another type than the variants before it",
    "list-value | flags.list-value.variants.a | is neither a boolean, text, a number nor an object",
    'bad-default | flags.bad-default.defaultVariant | the flag has no variant "blue"',
    "bad-metadata | flags.bad-metadata.metadata | is not a map",
    `bad-name | flags.bad-name.variants.${"x".repeat(129)} | the name must be 1 to 128 characters, none of them a control character`,
  ]);
});

test("flags in a list are refused by their position", () => {
  const result = importFile({
    flags: [{ key: "a", ...onOff }, { ...onOff }, "x", { key: "a", ...onOff }, { key: "b" }],
  });
  expect(result.file.flags).toHaveLength(1);
  expect(result.refused.map(({ key, path }) => [key, path])).toEqual([
    ["", "flags[1].key"],
    ["", "flags[2]"],
    ["a", "flags[3].key"],
    ["b", "flags[4].variants"],
    ["b", "flags[4].state"],
  ]);
});

test.each([
  ["{ not json", "", /^is not JSON: /],
  ["[]", "", /^is not a JSON object$/],
  [null, "", /^is not a JSON object$/],
  [{}, "flags", /^is missing$/],
  [{ flags: "x" }, "flags", /^is neither a map nor a list of flags$/],
  [{ flags: {}, $evaluators: [] }, "$evaluators", /^is not a map$/],
  [{ flags: {}, metadata: 1 }, "metadata", /^is not a map$/],
])("%j is unreadable as a whole", (json, path, description) => {
  const result = fromFlagdFile(json, { environment: "production" });
  expect(result).toEqual({ kind: "unreadable", path, description: expect.stringMatching(description) });
});

test("keys that JavaScript objects inherit are keys like any other", () => {
  const result = importFile(
    '{"flags":{"__proto__":{"state":"ENABLED","variants":{"constructor":true},"defaultVariant":"constructor"}}}',
  );
  expect(evaluate(result, "__proto__", {})).toMatchObject({ variant: "constructor", value: true });
  expect(importFile(flagdFile(undefined, { defaultVariant: "toString" })).refused).toHaveLength(1);
});

test("JSON nested beyond all measure is refused, and nothing breaks", () => {
  const deep = (open: string, close: string) => `${open.repeat(20_000)}1${close.repeat(20_000)}`;
  const file = (targeting: string, value: string) =>
    `{"flags":{"good":${JSON.stringify(onOff)},"f":{"state":"ENABLED","variants":{"a":${value}},"targeting":${targeting}}}}`;
  for (const text of [
    file(deep('{"!":', "}"), "true"),
    file(deep("[", "]"), "true"),
    file("null", deep('{"a":', "}")),
  ]) {
    const result = importFile(text);
    expect(result.file.flags.map(({ key }) => key)).toEqual(["good"]);
    expect(result.refused.map(({ key }) => key)).toContain("f");
  }
});

test("flagd files are told from native ones", () => {
  expect(isFlagdFile(fixture("switches"))).toBe(true);
  expect(isFlagdFile({ flags: {} })).toBe(true);
  expect(isFlagdFile({ flags: [{ key: "a", ...onOff }] })).toBe(true);
  expect(isFlagdFile({ flags: [{ key: "a", type: "FLAG_TYPE_BOOLEAN", variants: { on: true } }] })).toBe(false);
  expect(isFlagdFile({ flags: [] })).toBe(false);
  expect(isFlagdFile({ targetings: [] })).toBe(false);
  expect(isFlagdFile("nonsense")).toBe(false);
  expect(isFlagdFile(undefined)).toBe(false);
});
