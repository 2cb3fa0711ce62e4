import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { CliFailure } from "../../src/cli/failure.js";
import { findDuplicateKey } from "../../src/cli/files/duplicate-key.js";
import { toFileParts, toImportRequests } from "../../src/cli/files/import-parts.js";
import { parseFlagFile } from "../../src/cli/files/read-flag-file.js";
import { countItems, IncomingFile } from "../../src/server/admin/incoming-file.js";

const yaml = `
flags:
  - key: f
    type: boolean
    kind: FLAG_KIND_RELEASE
    expiresAt: 2027-01-31T00:00:00Z
    variants: {on: true, off: false}
targetings:
  - flag_key: f
    off_variant: off
    rules:
      - condition:
          all:
            conditions:
              - match: {attribute: version, operator: semver-less, values: ["2.0.0"]}
              - match: {attribute: email, operator: ends_with, values: ["@example.org"]}
        serve: {rollout: {algorithm: murmur3_32, shares: [{variant: on, weight: 1}]}}
`;

function read(text: string, name = "file.yaml") {
  return parseFlagFile(text, name, "production");
}

function failure(text: string, name?: string): CliFailure {
  try {
    read(text, name);
  } catch (error) {
    if (error instanceof CliFailure) return error;
    throw error;
  }
  throw new Error("the file was taken");
}

describe("a native file", () => {
  it("is YAML 1.2: on and off are names, and times are text", () => {
    const [flag] = read(yaml).file.flags;
    expect(Object.keys(flag?.variants ?? {})).toEqual(["on", "off"]);
    expect(flag?.expiresAt?.seconds).toBe(1801353600n);
  });

  it("takes enum values by their short and their full names, at any depth", () => {
    const { file, refused } = read(yaml);
    expect(refused).toEqual([]);
    expect(file.flags[0]).toMatchObject({ type: FlagType.BOOLEAN, kind: FlagKind.RELEASE });
    const condition = file.targetings[0]?.rules[0]?.condition?.kind;
    const operators =
      condition?.case === "all" &&
      condition.value.conditions.map(({ kind }) => kind.case === "match" && kind.value.operator);
    expect(operators).toEqual([14, 4]);
  });

  it("is the same as JSON", () => {
    const json = '{"flags":[{"key":"f","type":"number","kind":"operational","variants":{"a":1}}]}';
    expect(read(json).file.flags[0]?.type).toBe(FlagType.NUMBER);
    expect(read(json, "file.json").file).toEqual(read(json).file);
  });

  it("takes keys that look like numbers as text", () => {
    const { file } = read("flags: [{key: f, type: string, variants: {1: one, 2.0: two, true: yes}}]");
    expect(Object.keys(file.flags[0]?.variants ?? {}).sort()).toEqual(["1", "2.0", "true"]);
  });

  it("names each unknown field and enum value by its place and its flag", () => {
    const { refused } = read("flags: [{key: f, typ: boolean}, {key: g, type: bool}]");
    expect(refused.map(({ key, field }) => [key, field])).toEqual([
      ["f", "flags[0].typ"],
      ["g", "flags[1].type"],
    ]);
    expect(refused[0]?.description).toContain("there is no such field");
    expect(refused[1]?.description).toBe('"bool" is none of boolean, string, number, object');
  });

  it("names a value of the wrong kind by its flag", () => {
    const { refused } = read("flags: [{key: f, type: boolean, owner: 5}]");
    expect(refused).toMatchObject([{ key: "f", field: "flags[0]" }]);
    expect(refused[0]?.description).toContain("owner");
  });

  it("leaves out a refused flag with its settings, and keeps the rest", () => {
    const text = "flags: [{key: f, typ: x}, {key: g, type: string}]\ntargetings: [{flagKey: f}, {flagKey: g}]";
    const { file } = read(text);
    expect(file.flags.map(({ key }) => key)).toEqual(["g"]);
    expect(file.targetings.map(({ flagKey }) => flagKey)).toEqual(["g"]);
  });

  it.each([
    ["flags: [", "file.yaml is not YAML"],
    ["flags:\n  - key: a\n    key: b", "file.yaml has a key twice in one object"],
    ["flags: []\n---\nflags: []", "file.yaml holds several YAML documents"],
    ["\u0000\u0001:\u0002{[\n\ufffd: -\n  - ]]", "file.yaml is not text"],
    ["", "is no flag file"],
    ["[]", "is no flag file"],
    ["flagz: []", 'is no flag file (it has "flagz")'],
    ["flags: 5", "flags is not a list"],
  ])("that cannot be read as one is a usage error: %j", (text, message) => {
    const thrown = failure(text);
    expect(thrown.message).toContain(message);
    expect(thrown.exitCode).toBe(2);
  });

  it("that is binary is complained of in one line", () => {
    expect(failure("\u0000\u0001:\u0002{[\n\ufffd: -\n  - ]]").details).toEqual([]);
  });

  it("tells the line of a syntax error", () => {
    expect(failure("flags:\n  - key: a\n    key: b").details.join()).toContain("line 3");
  });

  it("in JSON cannot have a key twice", () => {
    const text = '{"flags":[\n{"key":"f",\n"key":"g"}]}';
    expect(failure(text, "file.json").message).toBe('file.json has the key "key" twice in one object, again in line 3');
  });

  it("does not grow without bounds through aliases", () => {
    const lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef", "fg"].map((pair) => [pair[0], pair[1]])) {
      lines.push(`${to}: &${to} [${Array.from({ length: 10 }, () => `*${from}`).join(", ")}]`);
    }
    expect(failure(lines.join("\n")).message).toContain("cannot be read as YAML");
  });
});

describe("a flagd file", () => {
  const good = '"g": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}';

  it("is found out and translated", () => {
    const { format, file, refused } = read(`{"flags": {${good}}}`, "file.json");
    expect({ format, refused, keys: file.flags.map(({ key }) => key) }).toEqual({
      format: "flagd",
      refused: [],
      keys: ["g"],
    });
    expect(file.targetings[0]?.environment).toBe("production");
  });

  it("names what cannot be translated by its key and path", () => {
    const bad = '"b": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"no_such_operator": []}}';
    const { file, refused } = read(`{"flags": {${good}, ${bad}}}`, "file.json");
    expect(file.flags.map(({ key }) => key)).toEqual(["g"]);
    expect(refused[0]).toMatchObject({ key: "b", field: expect.stringContaining("targeting") });
  });
});

describe("a key that stands twice", () => {
  it("is found in the same object only, and not inside text", () => {
    expect(findDuplicateKey('{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":"\\"a\\":{","d":"a"}')).toBeUndefined();
    expect(findDuplicateKey('{"a":1,"b":{"x":1,"x":2}}')?.key).toBe("x");
    expect(findDuplicateKey('{"a":1,"\\u0061":2}')?.key).toBe("a");
  });
});

describe("the parts of an import", () => {
  const file = fromJson(FlagFileSchema, {
    environments: [{ name: "staging" }],
    segments: [{ key: "s", included: ["x".repeat(400)] }],
    flags: Array.from({ length: 5 }, (_, index) => ({ key: `f${index}`, description: "d".repeat(200) })),
    targetings: [{ flagKey: "f0" }],
  });

  it("hold everything once, in order, each within the size", () => {
    const parts = [...toFileParts(file, 500)];
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap((part) => part.file.flags.map(({ key }) => key))).toEqual(["f0", "f1", "f2", "f3", "f4"]);
    expect(parts.map(({ itemsSoFar }) => itemsSoFar).at(-1)).toBe(countItems(file));
    expect(parts.every((part) => countItems(part.file) <= 3)).toBe(true);
  });

  it("give an item that is larger than the size a part to itself, and each key of a segment too", () => {
    expect([...toFileParts(file, 1)]).toHaveLength(countItems(file) + 1);
  });

  it.each([300, 1_000, 4_000])(
    "cut a segment that is larger than %i bytes, and all of its keys are there once they are put together",
    (sizeBytes) => {
      const keys = (name: string) =>
        Array.from({ length: 100 }, (_, index) => `${name}-${index}-${"é".repeat(index % 7)}`);
      const condition = { match: { attribute: "a", operator: "OPERATOR_EXISTS" } };
      const large = { key: "large", environment: "e", included: keys("in"), excluded: keys("out"), condition };
      const withLarge = fromJson(FlagFileSchema, { segments: [{ key: "s" }, large, { key: "t", included: ["u"] }] });
      const parts = [...toFileParts(withLarge, sizeBytes)];
      for (const part of parts) expect(toBinary(FlagFileSchema, part.file).length).toBeLessThanOrEqual(sizeBytes);
      const together = new IncomingFile("e");
      for (const part of parts) {
        expect(together.append(fromBinary(FlagFileSchema, toBinary(FlagFileSchema, part.file)))).toBeUndefined();
        expect(together.itemCount).toBe(part.itemsSoFar);
      }
      expect(together.file).toEqual(withLarge);
    },
  );

  it("are put together by a file that holds them as they came", () => {
    const segments = [{ key: "s", environment: "e", included: ["a"] }];
    const segmentKeys = [{ segmentKey: "s", environment: "e", included: ["b"], excluded: ["c"] }];
    const { file: read } = parseFlagFile(JSON.stringify({ segments, segmentKeys }), "f.json", "production");
    expect(read.segments[0]).toMatchObject({ included: ["a", "b"], excluded: ["c"] });
    const { refused } = parseFlagFile(JSON.stringify({ segmentKeys }), "f.json", "production");
    expect(refused).toMatchObject([{ key: "s", field: "segmentKeys" }]);
  });

  it("are one even of an empty file", () => {
    expect([...toFileParts(create(FlagFileSchema))]).toHaveLength(1);
  });

  it("carry the settings in the first message only, and tell how much is sent", async () => {
    const large = fromJson(FlagFileSchema, {
      flags: Array.from({ length: 3 }, (_, index) => ({ key: `f${index}`, description: "d".repeat(600_000) })),
    });
    const counts: number[] = [];
    const settings: (string | undefined)[] = [];
    for await (const request of toImportRequests([...toFileParts(large)], { comment: "why" }, (items) =>
      counts.push(items),
    )) {
      settings.push(request.comment);
    }
    expect(settings).toEqual(["why", undefined, undefined]);
    expect(counts).toEqual([1, 2, 3]);
  });
});
