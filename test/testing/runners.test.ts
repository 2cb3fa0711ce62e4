import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Build, buildProgram } from "../support/build-program.js";

const JEST = resolve(import.meta.dirname, "../../node_modules/jest/bin/jest.js");

let build: Build;

beforeAll(async () => {
  build = await buildProgram("src/testing/index.ts");
  await mkdir(join(build.folder, "tests"));
});
afterAll(() => build?.remove());

/** A test file of a user's, whose second variant fails in the second test. */
const source = (runner: string, assertion: string, more = "") => `
${runner}
import { createTestFlags, forEachVariant, startTestServer, variants } from ${JSON.stringify(build.compiled("src/testing/index.ts"))};
const flags = createTestFlags({ color: variants({ red: "#f00", blue: "#00f" }) });
forEachVariant(test, flags, "color", "it renders", async ({ value }) => { ${assertion} });
forEachVariant(test, flags, "color", "it is never blue", ({ variant }) => { if (variant === "blue") throw new Error("blue"); });
test("afterwards nothing is overridden", async () => { const value = "#f00"; ${assertion} });
${more}
`;

/** So many flags that the server pauses while it takes them over: in jest's sandbox promises of Node's are not its own. */
const withServer = `
test("a test server starts", async () => {
  const server = await startTestServer({ flags: Object.fromEntries(Array.from({ length: 1000 }, (_, n) => ["f" + n, true])) });
  await server.close();
}, 30_000);`;

/** What a program prints, and how it ends. */
function run(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      args,
      { cwd: build.folder, env: { PATH: process.env.PATH } },
      (error, stdout, stderr) => {
        done({ code: typeof error?.code === "number" ? error.code : 0, output: `${stdout}${stderr}` });
      },
    );
  });
}

test("forEachVariant works in node:test", async () => {
  const file = join(build.folder, "tests/variants.mjs");
  const runner = 'import test from "node:test"; import assert from "node:assert/strict";';
  await writeFile(file, source(runner, 'assert.equal(flags.string("color", ""), value);'));
  const { code, output } = await run("--test", "--test-reporter=tap", file);
  expect(code).toBe(1);
  expect(output.match(/^ *(not )?ok \d+ - .*$/gm)?.map((line) => line.trim())).toEqual([
    "ok 1 - it renders (color: red)",
    "ok 2 - it renders (color: blue)",
    "ok 3 - it is never blue (color: red)",
    "not ok 4 - it is never blue (color: blue)",
    "ok 5 - afterwards nothing is overridden",
  ]);
});

test("forEachVariant and startTestServer work in jest", async () => {
  await writeFile(
    join(build.folder, "tests/variants.test.js"),
    source("", 'expect(flags.string("color", "")).toBe(value);', withServer),
  );
  await writeFile(join(build.folder, "jest.config.json"), JSON.stringify({ transform: {}, testEnvironment: "node" }));
  const { output } = await run(
    "--experimental-vm-modules",
    JEST,
    "--ci",
    "--json",
    "--no-cache",
    "--runInBand",
    "--no-watchman",
  );
  const report = JSON.parse(output.split("\n").find((line) => line.startsWith("{")) ?? "{}");
  const results: { title: string; status: string }[] = report.testResults?.[0]?.assertionResults ?? [output];
  expect(results.map(({ title, status }) => `${status}: ${title}`)).toEqual([
    "passed: it renders (color: red)",
    "passed: it renders (color: blue)",
    "passed: it is never blue (color: red)",
    "failed: it is never blue (color: blue)",
    "passed: afterwards nothing is overridden",
    "passed: a test server starts",
  ]);
});
