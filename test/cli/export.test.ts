import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceImpl } from "@connectrpc/connect";
import { expect, it, onTestFinished } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { match, rule, serve } from "../engine/build.js";
import { openFakeServer } from "./fake-server.js";
import { runFlagwire } from "./run-flagwire.js";

async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "flagwire-export-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

type Export = NonNullable<ServiceImpl<typeof AdminService>["export"]>;

/** A server of which nothing can be asked but this export. */
function openExporter(send: () => ReturnType<Export>) {
  return openFakeServer((router) => router.service(AdminService, { listEnvironments: () => ({}), export: send }));
}

it("an export that is sent keys of no segment fails, and writes nothing", async () => {
  const folder = await openFolder();
  await using server = await openExporter(async function* () {
    yield { file: { segments: [{ key: "s", environment: "production" }] }, revision: 7n };
    yield { file: { segmentKeys: [{ segmentKey: "s", environment: "staging", included: ["u"] }] }, revision: 7n };
  });
  const run = await runFlagwire(["export", "-o", join(folder, "flags.yaml"), "--address", server.address]);
  expect(run).toMatchObject({ exitCode: 3, stdout: "" });
  expect(run.stderr).toContain('keys of segment "s" of staging, but not the segment; nothing was written');
  expect(await readdir(folder)).toEqual([]);
});

it("with --json and a file, standard output says what is not in the file, by key, place and reason", async () => {
  const folder = await openFolder();
  await using server = await openExporter(async function* () {
    const rules = [rule(match("a", Operator.MATCHES, ["x"]), "r", serve("on"))];
    const variants = { on: { kind: { case: "boolValue" as const, value: true } } };
    const flags = ["x", "y"].map((key) => ({ key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants }));
    const targetings = [{ flagKey: "x", environment: "production", enabled: true, rules }];
    yield { file: { flags, targetings }, revision: 7n };
  });
  const path = join(folder, "flags.json");
  const command = ["export", "--format", "flagd", "-o", path, "--json", "--address", server.address];
  const run = await runFlagwire(command);
  expect(run.exitCode).toBe(1);
  const place = "targeting.rules[0].condition.match";
  expect(JSON.parse(run.stdout)).toEqual({
    flags: 1,
    revision: "7",
    left: [{ key: "x", path: place, description: "flagd has no regular expressions" }],
    warnings: [],
  });
  expect(run.stderr).toContain(`left out: x: ${place}: flagd has no regular expressions`);
  expect(Object.keys(JSON.parse(await readFile(path, "utf8")).flags)).toEqual(["y"]);
});

it("what can differ for every flag with rules is said once, and of whom", async () => {
  await using server = await openExporter(async function* () {
    const condition = { kind: { case: "match" as const, value: { attribute: "a", operator: Operator.EXISTS } } };
    const serve = { kind: { case: "variant" as const, value: "on" } };
    const rules = [{ id: "r", condition, serve }];
    const variants = { on: { kind: { case: "boolValue" as const, value: true } } };
    const keys = ["x", "y"];
    const flags = keys.map((key) => ({ key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants }));
    const targetings = keys.map((flagKey) => ({ flagKey, environment: "production", enabled: true, rules }));
    yield { file: { flags, targetings }, revision: 7n };
  });
  const { stderr, exitCode } = await runFlagwire(["export", "--format", "flagd", "--address", server.address]);
  expect(exitCode).toBe(0);
  expect(stderr.match(/warning: .*list/g)).toEqual([expect.stringMatching(/^warning: every flag with rules: flagd/)]);
});
