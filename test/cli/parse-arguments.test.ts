import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isLoopback } from "../../src/base/index.js";
import { parseHostPort, toBaseUrl, toHostPort } from "../../src/cli/address.js";
import { similarTo } from "../../src/cli/commands/similar-keys.js";
import { parseContext, readContext, toContextMessage } from "../../src/cli/parse-context.js";
import { parseVariants } from "../../src/cli/parse-variants.js";

describe("variants", () => {
  it.each([
    ["boolean", "true", true],
    ["number", "-1.5e3", -1500],
    ["object", '{"a":[1]}', { a: [1] }],
    ["string", "true", "true"],
    ["string", "a=b", "a=b"],
    ["string", "", ""],
  ] as const)("have values of the flag's type: %s %s", (type, text, value) => {
    expect(parseVariants([`v=${text}`], type).get("v")).toEqual(value);
  });

  it.each([
    ["boolean", "yes", "is not true or false"],
    ["number", "NaN", "is not a number"],
    ["number", '"1"', "is not a number"],
    ["number", "1e999", "is not a number"],
    ["object", "[1]", "is not a JSON object"],
    ["object", "{", "is not a JSON object"],
  ] as const)("of type %s cannot be %s", (type, text, message) => {
    expect(() => parseVariants([`v=${text}`], type)).toThrow(message);
  });

  it("need a name, once each", () => {
    expect(() => parseVariants(["on"], "string")).toThrow('"on" is not NAME=VALUE');
    expect(() => parseVariants(["=x"], "string")).toThrow("is not NAME=VALUE");
    expect(() => parseVariants(["a=1", "a=2"], "string")).toThrow('"a" is given twice');
  });
});

describe("a context", () => {
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "flagwire-cli-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("has the targeting key among its attributes", () => {
    expect(toContextMessage(parseContext('{"targetingKey":"u1","plan":"pro"}'))).toEqual({
      targetingKey: "u1",
      attributes: { plan: "pro" },
    });
  });

  it("yields to a targeting key that is given apart", () => {
    expect(toContextMessage({ targetingKey: "u1", plan: "pro" }, "u2")).toEqual({
      targetingKey: "u2",
      attributes: { plan: "pro" },
    });
  });

  it.each(["5", "null", "{}"])("cannot have a targeting key that is not text: %s", (value) => {
    expect(() => parseContext(`{"targetingKey":${value}}`)).toThrow(
      "--context has a targetingKey that is not a string",
    );
  });

  it("can be read from a file", async () => {
    const path = join(directory, "context.json");
    await writeFile(path, '{"plan":"pro"}');
    expect(await readContext(`@${path}`, Readable.from([]))).toEqual({ plan: "pro" });
  });

  it("can be read from a file that begins with a byte order mark", async () => {
    const path = join(directory, "marked.json");
    await writeFile(path, '\ufeff{"plan":"pro"}');
    expect(await readContext(`@${path}`, Readable.from([]))).toEqual({ plan: "pro" });
  });

  it("that is a missing file is a usage error", async () => {
    await expect(readContext(`@${directory}/none.json`, Readable.from([]))).rejects.toMatchObject({ exitCode: 2 });
  });

  it.each(["[1]", "null", "5", '"x"', "{", ""])("cannot be %s", (text) => {
    expect(() => parseContext(text)).toThrow(/^--context is not/);
  });
});

describe("an address", () => {
  it.each([
    ["example.org", "example.org:8013"],
    ["example.org:80", "example.org:80"],
    [":9000", "127.0.0.1:9000"],
    ["[::1]:9000", "[::1]:9000"],
    ["[::1]", "[::1]:8013"],
    ["127.0.0.1:0", "127.0.0.1:0"],
  ])("is read: %s", (text, expected) => {
    expect(toHostPort(parseHostPort(text, "--address"))).toBe(expected);
  });

  it.each(["", "a:b", "a:65536", "::1", "a b", "a/b", "a:1:2"])("is refused: %j", (text) => {
    expect(() => parseHostPort(text, "--address")).toThrow("is not HOST:PORT");
  });

  it.each([
    ["8013", "is a port; write 127.0.0.1:8013"],
    ["1:8013", "has a number as its host"],
    ["0x7f000001", "is a port"],
  ])("is no number, which would be another machine's: %s", (text, message) => {
    expect(() => parseHostPort(text, "--address")).toThrow(message);
    expect(() => toBaseUrl(`http://${text}`)).toThrow("--address");
  });

  it("is cleartext unless it is an https URL", () => {
    expect(toBaseUrl("example.org")).toBe("http://example.org:8013");
    expect(toBaseUrl("https://example.org")).toBe("https://example.org");
    expect(() => toBaseUrl("https://example.org/path")).toThrow("is not HOST:PORT");
  });

  it("is loopback or is not", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "10.0.0.1", "127.example.org"].some(isLoopback)).toBe(false);
  });
});

describe("similar keys", () => {
  const keys = ["new-checkout", "new-search", "colour", "checkout"];

  it("are those few edits away, or that hold the key, the nearest first", () => {
    expect(similarTo("nwe-checkout", keys)).toEqual(["checkout", "new-checkout"]);
    expect(similarTo("color", keys)).toEqual(["colour"]);
  });

  it("are none where nothing is near", () => {
    expect(similarTo("zzz", keys)).toEqual([]);
  });
});
