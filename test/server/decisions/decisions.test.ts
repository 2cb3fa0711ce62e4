import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { runFlagwire } from "../../cli/run-flagwire.js";
import { openTestServer } from "../../support/server.js";
import { booleanFlag, serve } from "../admin-support.js";

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "flagwire-decisions-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

it("answers of every protocol are written out, up to the last one before the end, and counted", async () => {
  const path = join(await newDirectory(), "decisions.jsonl");
  const server = await openTestServer({ decisions: { target: { kind: "file", path }, sample: 1 } });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const flag = booleanFlag("a");
  const { revision } = await server.admin.createFlag({ flag, targeting: { enabled: true, default: serve("on") } });
  const environment = { name: "production", privateAttributes: ["email"] };
  await server.admin.updateEnvironment({ environment });
  const context = (targetingKey: string) => ({ targetingKey, attributes: { email: "secret@example.test" } });
  await server.evaluation.evaluate({ flagKey: "a", context: context("grpc") });
  await server.evaluation.bulkEvaluate({ context: context("bulk") });
  await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a", context: context("json") });
  await server.json("ofrep/v1/evaluate/flags/a", { context: { targetingKey: "ofrep", email: "secret@example.test" } });
  await server.json("ofrep/v1/evaluate/flags", { context: { targetingKey: "ofrep bulk" } });
  await server.json("flagd.evaluation.v1.Service/ResolveBoolean", { flagKey: "a", context: { targetingKey: "flagd" } });
  await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "nope" });
  await server.stop();
  const text = await readFile(path, "utf8");
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const callers = lines.map((line) => line.context.targetingKey);
  expect(callers).toEqual(["grpc", "bulk", "json", "ofrep", "ofrep bulk", "flagd"]);
  for (const line of lines) {
    const answer = { environment: "production", flagKey: "a", variant: "on", reason: "STATIC" };
    expect(line).toMatchObject({ ...answer, revision: String(revision + 1n) });
  }
  expect(text).not.toContain("secret");
});

it("a file that cannot be written is complained of before the service starts", async () => {
  const directory = await newDirectory();
  const argv = ["serve", "--listen", "127.0.0.1:0", "--data", join(directory, "data"), "--decisions", directory];
  const { exitCode, stderr } = await runFlagwire(argv);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^flagwire: --decisions: EISDIR/);
});
