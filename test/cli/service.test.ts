import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, type RunOptions, runFlagwire, startFlagwire } from "./run-flagwire.js";

let server: TestServer;
let directory = "";

beforeAll(async () => {
  server = await openTestServer();
  directory = await mkdtemp(join(tmpdir(), "flagwire-cli-"));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function flagwire(argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  return runFlagwire(argv, { ...options, env: { FLAGWIRE_ADDRESS: server.address, ...options.env } });
}

/** The document that a command prints with `--json`; it must have succeeded. */
async function json(...argv: readonly string[]) {
  const { exitCode, stdout, stderr } = await flagwire([...argv, "--json"]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout);
}

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

function createSwitch(key: string, ...more: readonly string[]) {
  return json("flags", "create", key, "--type", "boolean", "--kind", "operational", ...more);
}

describe("flags", () => {
  it("are created off, boolean ones with on and off, and answered with their revision", async () => {
    const created = await createSwitch("basic");
    expect(created).toMatchObject({ flag: { key: "basic", type: "FLAG_TYPE_BOOLEAN" }, revision: expect.any(String) });
    const { flag, targetings } = await json("flags", "get", "basic");
    expect(flag.variants).toEqual({ on: true, off: false });
    expect(flag.createdBy).toBe("ada");
    expect(targetings).toMatchObject([{ environment: "production", offVariant: "off", default: { variant: "on" } }]);
  });

  it("of other types serve the variant that is named, or the first", async () => {
    const options = ["--type", "number", "--kind", "operational", "--variant", "low=1", "--variant", "high=2.5"];
    await json("flags", "create", "limit", ...options, "--default", "high", "--on", "--off", "low");
    expect(await json("eval", "limit")).toMatchObject({ value: 2.5, variant: "high", reason: "STATIC" });
    await json("flags", "create", "limit-2", ...options, "--on");
    expect(await json("eval", "limit-2")).toMatchObject({ value: 1, variant: "low" });
  });

  it("that lack something are refused with every field by its option", async () => {
    const { exitCode, stderr } = await flagwire(["flags", "create", "temporary", "--kind", "release"]);
    expect(exitCode).toBe(3);
    for (const option of ["--type", "--owner", "--expires-at", "--variant"])
      expect(stderr).toContain(`  ${option} (flag.`);
  });

  it("are listed in a table, and whole in JSON over all pages", async () => {
    await createSwitch("listed", "--tag", "list-me", "--description", "d");
    const { stdout } = await flagwire(["flags", "list", "--tag", "list-me"]);
    expect(stdout.split("\n")).toEqual([
      "KEY     TYPE     KIND         STATE  SERVES  OWNER",
      "listed  boolean  operational  off    off",
      "",
    ]);
    const all = await json("flags", "list", "--tag", "list-me");
    expect(all).toMatchObject({
      flags: [{ key: "listed", tags: ["list-me"] }],
      targetings: [{ flagKey: "listed", enabled: false }],
      revision: expect.any(String),
    });
  });

  it("with a tag that none has are none, and that is said", async () => {
    const { stderr } = await flagwire(["flags", "list", "--tag", "nope"]);
    expect(stderr).toBe("flagwire: no flag has the tag nope\n");
  });

  it("are created in every environment, and --env is told so", async () => {
    const argv = ["flags", "create", "all-over", "--type", "boolean", "--kind", "operational", "--env", "production"];
    expect((await flagwire(argv)).stderr).toContain("in every environment, not only in production");
  });

  it("are whole in JSON, what is false or empty too", async () => {
    await createSwitch("whole-document");
    expect(await json("off", "whole-document")).toMatchObject({ targeting: { enabled: false, rules: [] } });
    expect(await json("flags", "get", "whole-document")).toMatchObject({
      flag: { owner: "", tags: [] },
      targetings: [{ enabled: false }],
    });
  });

  it("are deleted, and their keys need force to be used again", async () => {
    await createSwitch("doomed");
    expect(await json("flags", "delete", "doomed")).toEqual({ revision: expect.any(String) });
    const again = ["flags", "create", "doomed", "--type", "boolean", "--kind", "operational"];
    const refused = await flagwire(again);
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain('"flagwire flags restore" brings it back, and --force takes its key\n');
    expect((await flagwire([...again, "--force"])).exitCode).toBe(0);
  });

  it("that do not exist bring similar keys to mind", async () => {
    await createSwitch("spelling");
    const { exitCode, stderr } = await flagwire(["flags", "get", "speling"]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/did you mean spelling\?\n$/);
  });
});

describe("everyday edits", () => {
  it("turn a flag on and off, and say so", async () => {
    await createSwitch("toggle");
    expect((await flagwire(["on", "toggle"])).stdout).toMatch(/^toggle is on in production \(revision \d+\)\n$/);
    expect(await json("eval", "toggle")).toMatchObject({ value: true, variant: "on" });
    expect((await flagwire(["off", "toggle"])).stdout).toMatch(/^toggle is off in production/);
    expect(await json("eval", "toggle")).toMatchObject({ value: false, reason: "DISABLED" });
  });

  it("take the global options before and after the command", async () => {
    await createSwitch("placed");
    const before = await flagwire(["--json", "--env", "production", "on", "placed"]);
    const after = await flagwire(["on", "placed", "--json", "--env", "production"]);
    expect(JSON.parse(before.stdout).revision).toBe(JSON.parse(after.stdout).revision);
  });

  it("change nothing in a dry run", async () => {
    await createSwitch("dry");
    const { stdout } = await flagwire(["on", "dry", "--dry-run"]);
    expect(stdout).toBe("dry is on in production (dry run: nothing was changed)\n");
    expect(await json("on", "dry", "--dry-run")).toMatchObject({ revision: "0" });
    expect(await json("eval", "dry")).toMatchObject({ reason: "DISABLED" });
  });

  it("are refused on an expected revision that is stale", async () => {
    const { revision } = await createSwitch("contested");
    await json("on", "contested");
    const { exitCode, stderr } = await flagwire(["off", "contested", "--expected-revision", revision]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^flagwire: [^\n]*--expected-revision[^\n]*\n$/);
    expect(stderr).not.toContain("expected_revision");
  });

  it("roll a flag out, and hint that it is off", async () => {
    await createSwitch("ramp");
    const { stdout, stderr } = await flagwire(["rollout", "ramp", "12.345%"]);
    expect(stdout).toContain("ramp serves 12.345% on, 87.655% off by default in production");
    expect(stderr).toBe('flagwire: ramp is off in production; turn it on with "flagwire on ramp"\n');
  });

  it("grow a share without moving anyone who has it", async () => {
    const options = ["--type", "string", "--kind", "operational", "--on", "--variant", "a=A", "--variant", "b=B"];
    await json("flags", "create", "grow", ...options);
    const holders = async () => {
      const held = new Set<string>();
      for (let user = 0; user < 40; user++) {
        const { variant } = await json("eval", "grow", "--targeting-key", `user-${user}`);
        if (variant === "b") held.add(`user-${user}`);
      }
      return held;
    };
    await json("rollout", "grow", "a=80,b=20", "--bucket-by", "targetingKey");
    const few = await holders();
    await json("rollout", "grow", "b=60,a=40");
    const many = await holders();
    expect(few.size).toBeGreaterThan(0);
    expect(many.size).toBeGreaterThan(few.size);
    expect([...few].every((user) => many.has(user))).toBe(true);
    const { targetings } = await json("flags", "get", "grow");
    expect(targetings[0].default.rollout).toMatchObject({
      bucketBy: "targetingKey",
      shares: [{ variant: "a" }, { variant: "b" }],
    });
  });

  it("kill flags by key and by tag at once, and revive them", async () => {
    await createSwitch("kill-1", "--on", "--tag", "payments");
    await createSwitch("kill-2", "--on");
    const { stdout } = await flagwire(["kill", "kill-2", "--tag", "payments", "--reason", "INC-1"]);
    expect(stdout).toMatch(/^killed in production: kill-1, kill-2 \(revision \d+\)\n$/);
    await createSwitch("kill-3", "--on");
    const again = await flagwire(["kill", "kill-1", "kill-3", "--reason", "INC-2"]);
    expect(again.stdout).toMatch(
      /^killed in production: kill-3 \(revision \d+\)\nkill-1 was killed before in production, and stays so for its first reason\n$/,
    );
    const revived = await flagwire(["revive", "kill-3"]);
    expect(revived.stdout).toMatch(/^revived in production: kill-3 \(/);
    expect((await flagwire(["revive", "kill-3"])).stdout).toBe("kill-3 was not killed in production\n");
    expect(await json("eval", "kill-1")).toMatchObject({ value: false, reason: "KILLED" });
    expect((await flagwire(["on", "kill-1"])).stderr).toContain(
      'kill-1 is killed in production and stays so until "flagwire revive kill-1"',
    );
    expect(await json("revive", "kill-1", "kill-2")).toMatchObject({ flagKeys: ["kill-1", "kill-2"] });
    expect(await json("eval", "kill-1")).toMatchObject({ value: true });
  });
});

describe("an environment variable that is empty", () => {
  it("counts as not set, and what was done says which environment it was", async () => {
    await createSwitch("unset-env", "--on");
    const env = { FLAGWIRE_ENV: "" };
    const { stdout } = await flagwire(["kill", "unset-env", "--reason", "x"], { env });
    expect(stdout).toMatch(/^killed in production: unset-env /);
  });
});

describe("a token", () => {
  it("that the server does not know is to be left out", async () => {
    const { exitCode, stderr } = await flagwire(["flags", "list", "--token", "abc"]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("this server has no tokens yet, so it cannot know this one: leave it out; check --token");
  });
});

describe("eval", () => {
  it("prints the answer, or with --json the document", async () => {
    await createSwitch("asked", "--on");
    const { stdout } = await flagwire(["eval", "asked", "--context", '{"targetingKey":"u1"}']);
    expect(stdout).toMatch(/^asked = true, variant on \(STATIC, revision \d+\)\n$/);
    expect(await json("eval", "asked")).toEqual({
      flagKey: "asked",
      value: true,
      variant: "on",
      reason: "STATIC",
      revision: expect.any(String),
    });
  });

  it("is the same document as the service's own JSON", async () => {
    await createSwitch("same", "--on");
    const { body } = await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "same" });
    expect(await json("eval", "same")).toEqual(body);
  });

  it("ends with code 1 where the flag answers with an error, and prints the document all the same", async () => {
    await createSwitch("keyless", "--on");
    await json("rollout", "keyless", "50%");
    const { exitCode, stdout, stderr } = await flagwire(["eval", "keyless", "--json"]);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ reason: "ERROR", error: { code: "TARGETING_KEY_MISSING" } });
    expect(stderr).toContain("keyless has no answer: TARGETING_KEY_MISSING");
  });

  it("takes its context from standard input", async () => {
    await createSwitch("piped-context", "--on");
    await json("rollout", "piped-context", "50%");
    const asked = ["eval", "piped-context", "--json", "--context"];
    const piped = await flagwire([...asked, "@-"], { stdin: '{"targetingKey":"u1"}' });
    expect(JSON.parse(piped.stdout)).toEqual(await json("eval", "piped-context", "--targeting-key", "u1"));
    const broken = await flagwire([...asked, "@-"], { stdin: "{" });
    expect(broken).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("--context from standard input is not JSON"),
    });
  });

  it("that is refused does not say that nothing was changed", async () => {
    const { exitCode, stderr } = await flagwire(["eval", ""]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: "flagwire: the server refuses 1 field of the request\n  flag_key: is required\n",
    });
  });

  it("ends with code 3 for a flag that does not exist", async () => {
    expect((await flagwire(["eval", "zzz-no-such-flag"])).exitCode).toBe(3);
  });
});

describe("environments, segments and history", () => {
  it("create environments and list them", async () => {
    await createSwitch("everywhere", "--on");
    const create = ["environments", "create", "copy", "--copy-from", "production", "--description", "a copy"];
    expect((await flagwire(create)).stdout).toMatch(/^created the environment copy \(revision \d+\)\n$/);
    expect(await json("eval", "everywhere", "--env", "copy")).toMatchObject({ value: true });
    expect((await flagwire(["environments", "list"])).stdout).toContain("copy        ada                   a copy");
    const unknown = await flagwire(["eval", "everywhere", "--env", "nowhere"]);
    expect(unknown.exitCode).toBe(3);
    expect(unknown.stderr).toContain("nowhere");
  });

  it("bring segments by file, then list, show and delete them", async () => {
    const path = await file("segments.yaml", "segments: [{key: beta, description: testers, included: [u1]}]");
    expect(await json("apply", "-f", path)).toMatchObject({ changedSegments: ["beta"] });
    expect((await flagwire(["segments", "list"])).stdout).toContain("beta  1         0         no         testers");
    expect(parse((await flagwire(["segments", "get", "beta"])).stdout)).toMatchObject({
      key: "beta",
      included: ["u1"],
    });
    expect(await json("segments", "delete", "beta")).toEqual({ revision: expect.any(String) });
    expect((await flagwire(["segments", "get", "beta"])).exitCode).toBe(3);
  });

  it("that are in use are not deleted, and what would come of it is told as such", async () => {
    const rule = "{condition: {segment: used}, serve: {variant: on}}";
    await createSwitch("user-of-segment");
    const stdin = `segments: [{key: used}]\ntargetings: [{flagKey: user-of-segment, rules: [${rule}]}]`;
    expect(await flagwire(["apply", "-f", "-"], { stdin })).toMatchObject({ exitCode: 0 });
    const { exitCode, stderr } = await flagwire(["segments", "delete", "used"]);
    expect(exitCode).toBe(3);
    expect(stderr.split("\n")).toEqual([
      "flagwire: it is in use by flag user-of-segment (production); nothing was changed. The write would lead to:",
      '  targeting.rules[0].condition.segment: flag user-of-segment in production: there is no segment "used"',
      "",
    ]);
  });

  it("show how many keys a segment has where those are many, and say where they are", async () => {
    const included = (count: number) => Array.from({ length: count }, (_, index) => `user-${index}`);
    const segment = (count: number) => JSON.stringify({ segments: [{ key: "many", included: included(count) }] });
    await flagwire(["apply", "-f", await file("many.json", segment(101))]);
    const shown = await flagwire(["segments", "get", "many"]);
    expect(parse(shown.stdout)).toMatchObject({ key: "many", includedCount: 101, keysOmitted: true });
    expect(shown.stdout).not.toContain("user-0");
    expect(shown.stderr).toContain("flagwire export --env production gives them");
    const whole = await flagwire(["segments", "get", "many", "--json"]);
    expect(whole.stderr).toBe("");
    expect(JSON.parse(whole.stdout).segment.included).toHaveLength(101);
    await flagwire(["apply", "-f", await file("many.json", segment(100))]);
    expect(parse((await flagwire(["segments", "get", "many"])).stdout).included).toHaveLength(100);
    const { stdout } = await flagwire(["history", "--limit", "1"]);
    expect(stdout).toContain("changed segment many in production (included: 100, were 101)");
    await flagwire(["segments", "delete", "many"]);
  });

  it("tell who changed what, when and why, newest first", async () => {
    await createSwitch("storied", "--comment", "a start");
    await flagwire(["on", "storied"], { userName: "grace" });
    const { entries } = await json("history", "storied");
    expect(entries).toMatchObject([
      { author: "grace", comment: "", changes: [{ key: "storied", environment: "production" }, ...[]] },
      { author: "ada", comment: "a start" },
    ]);
    for (const { revision, time } of entries) {
      expect(revision).toMatch(/^\d+$/);
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    }
    const { stdout } = await flagwire(["history", "storied", "--limit", "1"]);
    expect(stdout).toContain("turned on storied in production");
    expect(stdout.trim().split("\n")).toHaveLength(2);
  });
});

describe("history", () => {
  it("tells why a flag was killed", async () => {
    await createSwitch("story-kill");
    await flagwire(["kill", "story-kill", "--reason", "INC-7 burns"]);
    const { stdout } = await flagwire(["history", "story-kill", "--limit", "1"]);
    expect(stdout).toContain("killed story-kill in production: INC-7 burns");
  });

  it("tells what changed of a targeting", async () => {
    await createSwitch("story-change");
    await flagwire(["rollout", "story-change", "25%"]);
    const { stdout } = await flagwire(["history", "story-change", "--limit", "1"]);
    expect(stdout).toContain("changed targeting of story-change in production (default: 25% on, 75% off)");
    const rule = "{condition: {all: {}}, serve: {variant: on}}";
    const stdin = `targetings: [{flagKey: story-change, enabled: true, offVariant: on, rules: [${rule}], default: {variant: off}}]`;
    await flagwire(["apply", "-f", "-"], { stdin });
    const after = await flagwire(["history", "story-change", "--limit", "1"]);
    expect(after.stdout).toContain(
      "turned on story-change in production (default: off; rules: 1, were 0; off variant: on)",
    );
  });

  it("of a key shows that key's changes first and counts the others", async () => {
    const flags = Array.from(
      { length: 6 },
      (_, index) => `{key: many-${index}, type: string, kind: operational, variants: {a: A}}`,
    );
    await flagwire(["apply", "-f", "-"], { stdin: `flags: [${flags.join(", ")}]` });
    const { stdout } = await flagwire(["history", "many-5"]);
    expect(stdout).toMatch(/created flag many-5, .* more/);
    expect(stdout).not.toContain("many-0");
  });

  it("of a key that no flag has says so, what it may have meant, and where segments are", async () => {
    await createSwitch("story-none");
    const { exitCode, stdout, stderr } = await flagwire(["history", "story-non"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toBe(
      'flagwire: no change of a flag story-non was found, and there is no such flag now; did you mean story-none? "flagwire history" alone shows segments and environments too\n',
    );
    await flagwire(["apply", "-f", "-"], { stdin: "segments: [{key: story-segment, included: [u1]}]" });
    const ofSegment = await flagwire(["history", "story-segment"]);
    expect(ofSegment.stderr).toContain("no change of a flag story-segment was found");
    expect(ofSegment.stderr).toContain('"flagwire history" alone shows segments');
  });

  it("of a flag that is there, but was not changed in an environment, does not say that there is none", async () => {
    await createSwitch("story-elsewhere");
    await flagwire(["environments", "create", "story-env"]);
    await createSwitch("story-there");
    const { stderr } = await flagwire(["history", "story-elsewhere", "--env", "story-none"]);
    expect(stderr).toBe("flagwire: no change of the flag story-elsewhere was found in the environment story-none\n");
  });

  it("is of flags by key, which its help says", async () => {
    const { stdout } = await flagwire(["history", "--help"]);
    expect(stdout).toContain("KEY is a flag's");
    expect(stdout).toContain("segments and environments");
  });

  it("that is empty says for what", async () => {
    const nowhere = await flagwire(["history", "--env", "nowhere"]);
    expect(nowhere.stderr).toContain("nowhere");
    expect(nowhere.stderr).not.toContain("nothing has been changed yet");
  });
});

describe("files", () => {
  const flags = "flags: [{key: filed, type: string, kind: operational, variants: {on: a, off: b}}]";

  it("are imported in one transaction and counted", async () => {
    const path = await file(
      "flags.yaml",
      `${flags}\ntargetings: [{flagKey: filed, enabled: true, default: {variant: on}}]`,
    );
    expect((await flagwire(["import", path])).stdout).toMatch(
      /^1 flag: 1 created, 0 updated, 0 unchanged \(revision \d+\)\n$/,
    );
    expect(await json("import", path)).toMatchObject({ createdFlags: [], unchangedFlags: ["filed"], refused: [] });
    expect(await json("eval", "filed")).toMatchObject({ value: "a" });
  });

  it("without flags are summed up by what they hold", async () => {
    const segments = await flagwire(["apply", "-f", "-"], { stdin: "segments: [{key: summed, included: [u1]}]" });
    expect(segments.stdout).toMatch(/^1 segment changed \(revision \d+\)\n$/);
    const environments = await flagwire(["apply", "-f", "-"], { stdin: "environments: [{name: summed}]" });
    expect(environments.stdout).toMatch(/^1 environment in the file \(revision \d+\)\n$/);
  });

  it("tell how many keys the segments had that they change, and warn where they leave none", async () => {
    const segments = (...lengths: number[]) =>
      JSON.stringify({
        segments: lengths.map((length, index) => ({
          key: `sized-${index}`,
          included: Array.from({ length }, (_, user) => `u${user}`),
        })),
      });
    const created = await flagwire(["apply", "-f", "-"], { stdin: segments(3, 40, 2) });
    expect(created).toMatchObject({ stdout: expect.stringMatching(/^3 segments changed [^\n]*\n$/), stderr: "" });
    const warning = "flagwire: warning: segment sized-1 in production has no keys left; it had 40\n";
    const tried = await flagwire(["apply", "-f", "-", "--dry-run"], { stdin: segments(4, 0, 2) });
    expect(tried.stdout).toContain("\nchanged segment sized-0 in production (included: 4, were 3)\n");
    expect(tried.stderr).toContain(warning);
    const { stdout, stderr } = await flagwire(["import", "-"], { stdin: segments(4, 0, 2) });
    expect(stdout.split("\n").slice(1)).toEqual(["segment sized-0 in production: included: 4, were 3", ""]);
    expect(stderr).toBe(warning);
  });

  it("of flagd's format are imported whole: the example", async () => {
    const { exitCode, stdout, stderr } = await flagwire(["import", "examples/demo.flagd.json"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^3 flags: 3 created, 0 updated, 0 unchanged/);
    const answer = await json("eval", "demo-banner", "--context", '{"targetingKey":"u","email":"a@example.com"}');
    expect(answer).toMatchObject({ variant: "shown" });
  });

  it("that are exported leave out who changed what and when, but not kills", async () => {
    await createSwitch("exported-kill");
    await flagwire(["kill", "exported-kill", "--reason", "INC-8"]);
    const { stdout } = await flagwire(["export"]);
    expect(stdout).not.toMatch(/createdAt|createdBy|changedAt|changedBy|revision/);
    expect(stdout).toContain("reason: INC-8");
  });

  it("that cannot be opened are a usage error, and on a full disk a failure", async () => {
    expect((await flagwire(["export", "-o", join(directory, "none", "x.yaml")])).exitCode).toBe(2);
    const lost = await flagwire(["export"], { outputError: "ENOSPC" });
    expect(lost.exitCode).toBe(3);
    expect(lost.stderr).toContain("the output cannot be written: ENOSPC");
  });

  it.runIf(existsSync("/dev/full"))("that the disk cannot hold end with code 3", async () => {
    expect((await flagwire(["export", "-o", "/dev/full"])).exitCode).toBe(3);
  });

  it("are taken from standard input", async () => {
    const stdin = flags.replace("filed", "piped");
    const { exitCode, stdout } = await flagwire(["apply", "-f", "-", "--json"], { stdin });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ createdFlags: ["piped"] });
  });

  it("with something that cannot be read change nothing, unless asked to skip it", async () => {
    const path = await file(
      "mixed.yaml",
      "flags: [{key: bad, typ: x}, {key: good, type: boolean, kind: operational, variants: {x: true}}]",
    );
    const refused = await flagwire(["import", path]);
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain("\n  bad: flags[0].typ: there is no such field");
    expect((await flagwire(["flags", "get", "good"])).exitCode).toBe(3);
    const skipped = await flagwire(["import", path, "--skip-invalid", "--json"]);
    expect(skipped.exitCode).toBe(0);
    expect(JSON.parse(skipped.stdout)).toMatchObject({
      createdFlags: ["good"],
      refused: [{ key: "bad", field: "flags[0].typ" }],
    });
    expect(skipped.stderr).toContain("left out: bad: flags[0].typ");
  });

  it("with something that the server refuses change nothing, and it is named", async () => {
    const path = await file("refused.yaml", "flags: [{key: no-kind, type: boolean, variants: {x: true}}]");
    const { exitCode, stderr } = await flagwire(["import", path]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("no-kind");
    expect(stderr).toContain("kind");
    const skipped = await json("import", path, "--skip-invalid");
    expect(skipped.refused).toMatchObject([{ key: "no-kind" }]);
  });

  it("show progress on a terminal, and none elsewhere", async () => {
    const path = await file("progress.yaml", flags.replace("filed", "progress"));
    expect((await flagwire(["import", path], { terminal: true })).stderr).toContain("waiting for the commit");
    expect((await flagwire(["import", path])).stderr).toBe("");
  });

  it("come out as they went in: an export can be imported again and changes nothing", async () => {
    const exported = await flagwire(["export"]);
    expect(exported.exitCode).toBe(0);
    const path = await file("export.yaml", exported.stdout);
    const again = await json("import", path);
    expect(again).toMatchObject({ createdFlags: [], updatedFlags: [], refused: [] });
    expect(again.unchangedFlags).toContain("basic");
    const parsed = await json("export");
    expect(parsed.flags.map(({ key }: { key: string }) => key)).toEqual(
      parse(exported.stdout).flags.map(({ key }: { key: string }) => key),
    );
  });

  it("are written where asked to, as JSON for a name that says so", async () => {
    const path = join(directory, "out.json");
    const { exitCode, stdout, stderr } = await flagwire(["export", "--env", "production", "-o", path]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toMatch(/^flagwire: wrote \d+ flags to /);
    expect(JSON.parse(await readFile(path, "utf8")).flags.length).toBeGreaterThan(0);
  });

  it("go to flagd's format and come back", async () => {
    const path = join(directory, "out.flagd.json");
    const { exitCode } = await flagwire(["export", "--format", "flagd", "-o", path]);
    expect([0, 1]).toContain(exitCode);
    expect(JSON.parse(await readFile(path, "utf8")).flags.toggle).toMatchObject({ variants: { on: true, off: false } });
    expect((await flagwire(["import", path, "--dry-run"])).exitCode).toBe(0);
  });
});

describe("watch and mirror", () => {
  it("watch follows changes until it is interrupted, and that is no failure", async () => {
    await createSwitch("watched");
    const running = startFlagwire(["watch"], { env: { FLAGWIRE_ADDRESS: server.address } });
    await vi.waitFor(() => expect(running.stdout()).toMatch(/^\d+ full \d+ flags?, \d+ segments?\n/), {
      timeout: 10_000,
    });
    const { revision } = await json("on", "watched");
    await vi.waitFor(() => expect(running.stdout()).toContain(`${revision} delta watched\n`), { timeout: 10_000 });
    running.interrupt();
    expect((await running.done).exitCode).toBe(0);
  });

  it("mirror answers each line of its input like eval, and follows changes", async () => {
    await createSwitch("mirrored");
    const running = startFlagwire(["mirror", "--json"], { env: { FLAGWIRE_ADDRESS: server.address } });
    running.stdin.write('mirrored {"targetingKey":"u1"}\n');
    await vi.waitFor(() => expect(running.stdout()).not.toBe(""), { timeout: 10_000 });
    const first = JSON.parse(running.stdout());
    expect(first).toEqual(await json("eval", "mirrored"));
    const { revision } = await json("on", "mirrored");
    await vi.waitFor(() => expect(running.stderr()).toContain(`revision ${revision}: mirrored`), { timeout: 10_000 });
    running.stdin.end('mirrored\nno-such-flag\nmirrored {"oops"\n');
    const { exitCode, stdout } = await running.done;
    const answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(exitCode).toBe(0);
    expect(answers.slice(1)).toMatchObject([
      { value: true },
      { error: { code: "FLAG_NOT_FOUND" } },
      { error: expect.stringContaining("the context is not JSON"), line: 4 },
    ]);
  });

  it("mirror says when the connection was lost, and when the server is reachable again", async () => {
    const sockets = new Set<Socket>();
    const proxy = createServer((near) => {
      const far = connect(Number(server.address.split(":")[1]), "127.0.0.1");
      for (const one of [near, far]) sockets.add(one.on("error", () => {}));
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const running = startFlagwire(["mirror", "--address", address]);
    await vi.waitFor(() => expect(running.stderr()).toContain("is ready"), { timeout: 10_000 });
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(() => expect(running.stderr()).toContain("the server is reachable again"), { timeout: 10_000 });
    expect(running.stderr()).toContain(`the connection to ${address} was lost; answers are of revision`);
    running.stdin.end();
    expect((await running.done).exitCode).toBe(0);
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });

  it("mirror fails for an environment that does not exist", async () => {
    const { exitCode, stderr } = await flagwire(["mirror", "--env", "nowhere"]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("nowhere");
  });
});
