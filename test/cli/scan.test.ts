import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
let code = "";

const flagwire = (...args: readonly string[]): Promise<CliRun> =>
  runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });

function createRelease(key: string, expiresAt: string, ...more: readonly string[]) {
  const options = ["--type", "boolean", "--kind", "release", "--owner", "web", "--expires-at", expiresAt];
  return flagwire("flags", "create", key, ...options, ...more);
}

beforeAll(async () => {
  server = await openTestServer();
  await createRelease("new-checkout", "2999-01-01T00:00:00Z");
  await createRelease("old-banner", "2020-01-01T00:00:00Z", "--on");
  await createRelease("done", "2999-01-01T00:00:00Z", "--on");
  await flagwire("flags", "create", "switch", "--type", "boolean", "--kind", "operational", "--on");
  code = await mkdtemp(join(tmpdir(), "flagwire-scan-"));
  await mkdir(join(code, "src"));
  await writeFile(join(code, "main.py"), 'on("new-checkout")\non("done")\n');
  await writeFile(
    join(code, "src/page.ts"),
    'flags.boolean("new-chekout", false);\n\nuse("old-banner");\nuse("switch");\n',
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(code, { recursive: true });
});

describe("scan", () => {
  it("prints each use with its place and how the flag stands", async () => {
    const { exitCode, stdout, stderr } = await flagwire("scan", code);
    expect(stdout.split("\n")).toEqual([
      "main.py:1: new-checkout known",
      "main.py:2: done serves-one-variant (on)",
      "src/page.ts:1: new-chekout unknown; did you mean new-checkout?",
      "src/page.ts:3: old-banner expired, serves-one-variant (on)",
      "src/page.ts:4: switch known",
      "",
    ]);
    expect(stderr).toBe("flagwire: 5 keys in 5 places of 2 files\n");
    expect(exitCode).toBe(0);
  });

  it("prints one JSON document, and an empty list where nothing is used", async () => {
    const { stdout } = await flagwire("scan", code, "--json");
    expect(JSON.parse(stdout)).toEqual([
      { key: "new-checkout", file: "main.py", line: 1, status: "known" },
      { key: "done", file: "main.py", line: 2, status: "serves-one-variant", servedVariant: "on" },
      { key: "new-chekout", file: "src/page.ts", line: 1, status: "unknown" },
      { key: "old-banner", file: "src/page.ts", line: 3, status: "expired", servedVariant: "on" },
      { key: "switch", file: "src/page.ts", line: 4, status: "known" },
    ]);
    const { stdout: none } = await flagwire("scan", code, "--json", "--exclude", "*.py", "--exclude", "src/");
    expect(JSON.parse(none)).toEqual([]);
  });

  it.each([
    ["unknown", ["new-chekout: unknown"]],
    ["expired", ["old-banner: expired"]],
    ["serves-one-variant", ["done: serves-one-variant", "old-banner: serves-one-variant"]],
    ["expired,unknown", ["new-chekout: unknown", "old-banner: expired"]],
  ])("exits with 1 and names the keys with --fail-on %s", async (statuses, lines) => {
    const { exitCode, stderr, stdout } = await flagwire("scan", code, "--json", "--fail-on", statuses);
    expect(exitCode).toBe(1);
    expect(stderr.split("\n").slice(2, -1)).toEqual(lines.map((line) => `  ${line}`));
    expect(JSON.parse(stdout)).toHaveLength(5);
  });

  it("takes --fail-on more than once, and misses none of it", async () => {
    const twice = ["--fail-on", "unknown", "--fail-on", "expired"];
    const { exitCode, stderr } = await flagwire("scan", code, ...twice);
    expect(exitCode).toBe(1);
    expect(stderr.split("\n").slice(2, -1)).toEqual(["  new-chekout: unknown", "  old-banner: expired"]);
    expect((await flagwire("stale", "--fail-on", "expired", "--fail-on", "rolled-out")).exitCode).toBe(1);
  });

  it.skipIf(process.getuid?.() === 0)("fails where it may not read the folder, so that no check passes", async () => {
    const closed = await mkdtemp(join(tmpdir(), "flagwire-closed-"));
    await chmod(closed, 0o000);
    const { exitCode, stderr } = await flagwire("scan", closed, "--fail-on", "unknown");
    await rm(closed, { recursive: true });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("DIR cannot be read: EACCES");
  });

  it("passes the check where code uses no such flags", async () => {
    expect((await flagwire("scan", code, "--fail-on", "unknown,expired", "--exclude", "src")).exitCode).toBe(0);
  });

  it.each([
    [["scan"], "missing required argument"],
    [["scan", "/nowhere/at/all"], "DIR cannot be read: ENOENT"],
    [["scan", import.meta.filename], "is not a folder"],
    [["scan", ".", "--fail-on", "expird"], '"expird" is none of unknown, expired, serves-one-variant'],
    [["stale", "--fail-on", "old"], '"old" is none of expired, rolled-out'],
    [["stale", "--fail-on", "not-referenced"], "needs --code DIR"],
    [["stale", "--exclude", "docs"], "--exclude needs --code DIR"],
    [["stale", "--code", "/nowhere/at/all"], "--code cannot be read: ENOENT"],
    [["stale", "--days", "0"], "--days"],
  ])("%j is wrong usage", async (args, named) => {
    const { exitCode, stderr } = await flagwire(...args);
    expect(stderr).toContain(named);
    expect(exitCode).toBe(2);
  });
});
