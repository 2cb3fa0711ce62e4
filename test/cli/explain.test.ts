import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
let directory = "";

const file = `
flags:
  - { key: checkout, kind: operational, type: boolean, variants: { on: true, off: false } }
  - { key: broken, kind: operational, type: string, variants: { a: A, b: B } }
targetings:
  - flagKey: checkout
    enabled: true
    offVariant: off
    rules:
      - id: beta
        condition: { match: { attribute: plan, operator: in, values: [pro, enterprise] } }
        serve: { rollout: { shares: [{ variant: on, weight: 25000 }, { variant: off, weight: 75000 }] } }
    default: { variant: off }
  - flagKey: broken
    enabled: true
    default: { rollout: { shares: [{ variant: a, weight: 1 }, { variant: b, weight: 1 }] } }
`;

beforeAll(async () => {
  server = await openTestServer();
  directory = await mkdtemp(join(tmpdir(), "flagwire-cli-"));
  const path = join(directory, "flags.yaml");
  await writeFile(path, file);
  expect(await flagwire("import", path)).toMatchObject({ exitCode: 0 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function flagwire(...argv: readonly string[]): Promise<CliRun> {
  return runFlagwire(argv, { env: { FLAGWIRE_ADDRESS: server.address } });
}

const context = ["--context", '{"targetingKey":"user-7","plan":"pro"}'];

it("eval --explain prints the answer, then how it came about as a tree", async () => {
  const { exitCode, stdout } = await flagwire("eval", "checkout", ...context, "--explain");
  expect(exitCode).toBe(0);
  const [answer, ...tree] = stdout.trimEnd().split("\n");
  expect(answer).toMatch(/^checkout = (true|false), variant (on|off) \(SPLIT, rule beta, revision \d+\)$/);
  expect(tree[0]).toMatch(/^checkout → variant (on|off) \(SPLIT, rule beta\)$/);
  expect(tree).toContain("├─ ✓ enabled");
  expect(tree.join("\n")).toContain('✓ plan in ["pro", "enterprise"]: plan is "pro"');
  expect(tree.join("\n")).toMatch(/25 % on: buckets 0 to 24999/);
});

it("eval --explain --json has the trace in the answer's document", async () => {
  const { stdout } = await flagwire("eval", "checkout", ...context, "--explain", "--json");
  const { variant, trace } = JSON.parse(stdout);
  expect(trace.flags[0]).toMatchObject({ flagKey: "checkout", variant, ruleId: "beta" });
  expect(trace.flags[0].steps[1].rule.condition).toMatchObject({ holds: true });
  expect(JSON.parse((await flagwire("eval", "checkout", ...context, "--json")).stdout)).not.toHaveProperty("trace");
});

it("eval --explain --private leaves the values out", async () => {
  const { stdout } = await flagwire("eval", "checkout", ...context, "--explain", "--private", "targetingKey, plan");
  expect(stdout).toContain("plan is private");
  expect(stdout).not.toMatch(/user-7|"pro"/);
});

it("eval --explain tells of an answer that is an error, and exits 1", async () => {
  const { exitCode, stdout, stderr } = await flagwire("eval", "broken", "--explain");
  expect(exitCode).toBe(1);
  expect(stdout).toContain("default: rollout: nothing to hash, for targetingKey is missing");
  expect(stderr).toContain("TARGETING_KEY_MISSING");
});

it("--private needs --explain and names", async () => {
  const alone = await flagwire("eval", "checkout", "--private", "plan");
  expect(alone).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--private goes with --explain") });
  const empty = await flagwire("eval", "checkout", "--explain", "--private", "plan,,email");
  expect(empty).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("holds an empty name") });
});
