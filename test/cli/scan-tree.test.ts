import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findKeys } from "../../src/cli/scan/find-keys.js";
import { parseIgnoreRules } from "../../src/cli/scan/ignore-rules.js";
import { scanTree } from "../../src/cli/scan/scan-tree.js";

const flags = new Set(["new-checkout", "search", "a.b_c"]);

/** The keys in a text as `line key`. */
function keysOf(text: string, hasCalls = false): string[] {
  return findKeys(text, { isKnown: (key) => flags.has(key), hasCalls }).map(({ key, line }) => `${line} ${key}`);
}

describe("in any text", () => {
  it.each([
    ["double quotes", 'if enabled("new-checkout"):'],
    ["single quotes", "<Feature flag='new-checkout'/>"],
    ["backquotes", "Enabled(`new-checkout`)"],
    ["a list", '["other","new-checkout"]'],
    ["a literal within another", String.raw`"{\"new-checkout\": true}"`],
    ["a line after an apostrophe", `don't; x = "new-checkout"`],
  ])("a key is found in %s", (_, text) => {
    expect(keysOf(text)).toEqual(["1 new-checkout"]);
  });

  it.each([
    ["no quotes", "new-checkout"],
    ["quotes of two kinds", `"new-checkout'`],
    ["a longer text", '"the search box", "search ", "/search"'],
    ["another key", '"new-checkout-2", "my-search"'],
  ])("a key is not found in %s", (_, text) => {
    expect(keysOf(text)).toEqual([]);
  });

  it("each stands with its line, in order", () => {
    expect(keysOf('"search"\n\n"a.b_c" "search"\r\n"nothing"\n"new-checkout"')).toEqual([
      "1 search",
      "3 a.b_c",
      "3 search",
      "5 new-checkout",
    ]);
  });

  it("one that does not exist is not asked about", () => {
    expect(keysOf('client.getBooleanValue("gone", false)')).toEqual([]);
  });
});

describe("in TypeScript", () => {
  it.each([
    'client.getBooleanValue("gone", false)',
    "await client.getObjectDetails<Limits>( 'gone', {})",
    "client.getNumberValue(\n  `gone`,\n  1)",
    'const on = useFlag("gone", false)',
    'useBooleanFlagValue("gone", false); useSuspenseFlag("search")',
    'app.get("/", requireFlag("gone"), page)',
    'flags.boolean("gone", false, user)',
    'req.flags?.string("gone", "")',
    'this.featureFlags\n    .details("gone", {})',
    'flagsOf(call).number("gone", 1)',
    'mirror.object("gone", {})',
  ])("a call asks for a flag that does not exist: %s", (text) => {
    expect(keysOf(text, true).map((one) => one.slice(2))).toContain("gone");
  });

  it.each([
    'z.string("is required")',
    'yargs.boolean("verbose")',
    'table.flagship.string("x")',
    "client.getBooleanValue(key, false)",
    `client.getBooleanValue(\`gone-\${region}\`, false)`,
    'client.getBooleanValues("x")',
    `const text = \`requireFlag("\${key}")\``,
  ])("another call asks for none: %s", (text) => {
    expect(keysOf(text, true)).toEqual([]);
  });

  it("keys that exist and keys that do not stand in the text's order", () => {
    expect(keysOf('requireFlag("gone")\n"search"\nrequireFlag("gone")', true)).toEqual([
      "1 gone",
      "2 search",
      "3 gone",
    ]);
  });

  it("a key that exists is found once by its call", () => {
    expect(keysOf('flags.boolean("search", false)\nrequireFlag(\n  "a.b_c")', true)).toEqual(["1 search", "3 a.b_c"]);
  });

  it("a text that looks like a call for long takes no longer for it", () => {
    const long = [
      "flags".repeat(100_000),
      "flags.string".repeat(50_000),
      `"${"a".repeat(500_000)}`,
      "<".repeat(500_000),
    ];
    expect(long.flatMap((text) => keysOf(text, true))).toEqual([]);
  });
});

describe("what is left out", () => {
  it.each<[string, string, boolean, boolean | undefined]>([
    ["*.log", "deep/down/a.log", false, true],
    ["*.log", "a.log.txt", false, undefined],
    ["/build", "build", true, true],
    ["/build", "deep/build", true, undefined],
    ["build/", "deep/build", true, true],
    ["build/", "deep/build", false, undefined],
    ["docs/*.md", "docs/a.md", false, true],
    ["docs/*.md", "docs/deep/a.md", false, undefined],
    ["docs/**/*.md", "docs/deep/er/a.md", false, true],
    ["docs/**/*.md", "docs/a.md", false, true],
    ["**/made", "deep/made", true, true],
    ["made/**", "made/deep/a", false, true],
    ["a?c", "abc", false, true],
    ["a[!b]c", "abc", false, undefined],
    ["a[a-c]c", "abc", false, true],
    ["a.c", "abc", false, undefined],
    ["# a", "# a", false, undefined],
    ["  ", "  ", false, undefined],
    ["(a", "(a", false, true],
    ["[", "[", false, true],
    [String.raw`\!a`, "!a", false, true],
    ["[z-a]", "z", false, undefined],
    ["docs/*.*.*.*", "docs/a.b.c.d", false, true],
    ["*-[!a]*-*-*.m?", "deep/x-b-c-d.md", false, true],
    ["**/a/*/b/*/*.ts", "x/a/1/b/2/c.js", false, undefined],
    // More ways to match than there is time to try.
    [`${"*a".repeat(30)}b`, "a".repeat(250), false, undefined],
  ])("by %j: %s", (line, path, isFolder, ignored) => {
    expect(parseIgnoreRules([line])(path, isFolder)).toBe(ignored);
  });

  it("is not what a later line takes back", () => {
    const ignore = parseIgnoreRules(["*.json", "!flags.json"]);
    expect([ignore("a.json", false), ignore("flags.json", false)]).toEqual([true, false]);
  });
});

describe("a tree", () => {
  let root = "";
  let skipped: string[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "flagwire-scan-"));
    skipped = [];
  });

  afterEach(() => rm(root, { recursive: true }));

  async function put(path: string, content: string | Buffer = 'x("search")') {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }

  /** The files that mention flags. */
  async function scan(exclude: readonly string[] = []): Promise<string[]> {
    const { signal } = new AbortController();
    const onSkipped = (path: string, why: string) => void skipped.push(`${path} ${why}`);
    const files = scanTree(root, { isKnown: (key) => flags.has(key), exclude, signal, onSkipped });
    const paths: string[] = [];
    for await (const { path, found } of files) if (found.length > 0) paths.push(path);
    return paths;
  }

  it("is read in the order of names, whatever the language", async () => {
    for (const path of ["b/c.py", "a.go", "b/a/x.vue", "b.ts", "Makefile"]) await put(path);
    expect(await scan()).toEqual(["Makefile", "a.go", "b/a/x.vue", "b/c.py", "b.ts"]);
  });

  it("is read without what others made, and without what .gitignore files leave out below them", async () => {
    for (const path of ["node_modules/a/a.js", "dist/a.js", ".git/a", "src/made/a.ts", "src/a.ts", "made/a.ts"]) {
      await put(path);
    }
    await put("src/.gitignore", "made/\n");
    await put(".gitignore", "*.log\n");
    await put("src/deep/a.log");
    await put("kept/a.log");
    await put("kept/.gitignore", "!a.log\n");
    expect(await scan()).toEqual(["kept/a.log", "made/a.ts", "src/a.ts"]);
    expect(await scan(["made", "/src"])).toEqual(["kept/a.log"]);
  });

  it("is read by .gitignore files that begin with a byte order mark, and whose lines end as on Windows", async () => {
    await put("made/a.ts");
    await put("b.log");
    await put("c.ts");
    await put(".gitignore", "\ufeffmade/\r\n*.log\r\n");
    expect(await scan()).toEqual(["c.ts"]);
  });

  it("is not taken for read when the reading is broken off", async () => {
    await put("a.ts");
    await put("b.ts");
    const stop = new AbortController();
    const files = scanTree(root, { isKnown: () => true, exclude: [], signal: stop.signal, onSkipped: () => undefined });
    expect((await files.next()).value).toMatchObject({ path: "a.ts" });
    stop.abort();
    await expect(files.next()).rejects.toThrow("aborted");
  });

  it("is read without binary files, and names those that are too large", async () => {
    await put("a.bin", Buffer.from('\0"search"'));
    await put("large.txt", `"search"${" ".repeat(2_097_152 - 8)}`);
    await put("larger.txt", `"search"${" ".repeat(2_097_152 - 7)}`);
    expect(await scan()).toEqual(["large.txt"]);
    expect(skipped).toEqual(["larger.txt is larger than 2 MiB"]);
  });

  it("is read to its end although links go round in it", async () => {
    await put("a/a.ts");
    await symlink("..", join(root, "a/up"));
    await symlink("a.ts", join(root, "a/b.ts"));
    await symlink("nowhere", join(root, "broken"));
    expect(await scan()).toEqual(["a/a.ts"]);
    expect(skipped).toEqual([]);
  });

  it("names what cannot be read, and goes on", async () => {
    // A name that is no UTF-8 cannot be opened by the text that it is read as.
    await writeFile(Buffer.concat([Buffer.from(`${root}/a`), Buffer.from([0xff])]), '"search"');
    await mkdir(Buffer.concat([Buffer.from(`${root}/b`), Buffer.from([0xff])]));
    await put("c.ts");
    expect(await scan()).toEqual(["c.ts"]);
    expect(skipped).toEqual([
      expect.stringMatching(/^a.* cannot be read: ENOENT/),
      expect.stringMatching(/^b.* cannot/),
    ]);
  });
});
