import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RampSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { describeRampChanges, describeTime } from "../../src/cli/commands/describe-ramp.js";
import { CliFailure } from "../../src/cli/failure.js";
import { parseRampSteps } from "../../src/cli/parse-ramp-steps.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

describe("the steps of a ramp", () => {
  it("are read exactly, in minutes, hours and days", () => {
    expect(parseRampSteps("0.5%:30m, 5%:12h,25%:4d,100%")).toEqual([
      { weight: 500, duration: durationFromMs(1_800_000) },
      { weight: 5_000, duration: durationFromMs(43_200_000) },
      { weight: 25_000, duration: durationFromMs(345_600_000) },
      { weight: 100_000 },
    ]);
  });

  it.each([
    ["", "is not a step"],
    ["1%:1d,5:1d,100%", '"5:1d" is not a step'],
    ["1%:1d:2,100%", "is not a step"],
    ["1%,100%", 'the step "1%" does not say how long'],
    ["1%:1d,100%:1d", "has no end"],
    ["1%:1w,100%", '"1w" in "1%:1w" is no time'],
    ["1%:1.5d,100%", "is no time"],
    ["1%:1d,101%", '"101%" is not a step'],
  ])("%j are refused, saying why", (text, said) => {
    const read = () => parseRampSteps(text);
    expect(read).toThrow(CliFailure);
    expect(read).toThrow(said);
  });
});

it.each([
  [0, "0s"],
  [59_999, "59s"],
  [3_600_000, "1h"],
  [2 * 86_400_000 + 4 * 3_600_000 + 5_000, "2d 4h"],
])("%d ms are told as %s", (ms, text) => {
  expect(describeTime(ms)).toBe(text);
});

describe("flagwire ramp", () => {
  let server: TestServer;
  const flagwire = (...args: string[]): Promise<CliRun> =>
    runFlagwire(args, { env: { FLAGWIRE_ADDRESS: server.address } });

  beforeAll(async () => {
    server = await openTestServer();
  });

  afterAll(() => server[Symbol.asyncDispose]());

  /** A boolean flag that is on and serves `off` to everyone. */
  async function createFlag(key: string): Promise<void> {
    await flagwire("flags", "create", key, "--type", "boolean", "--kind", "operational", "--default", "off", "--on");
  }

  it("starts, shows, pauses, resumes and aborts a ramp", async () => {
    await createFlag("a");
    const started = await flagwire("ramp", "a", "--steps", "1%:1d,5%:2d,100%");
    expect(started).toMatchObject({ exitCode: 0, stderr: "" });
    expect(started.stdout).toMatch(
      /^a in production: ramp of the default: 1% on, step 1 of 3; 5% at 20\S+Z \(revision \d+\)\n$/,
    );
    expect((await flagwire("ramp", "status", "a")).stdout).toMatch(/^ramp of the default: 1% on, step 1 of 3; 5% at /);
    expect((await flagwire("flags", "get", "a")).stdout).toContain("ramp of the default: 1% on, step 1 of 3");
    expect((await flagwire("ramp", "pause", "a")).stdout).toContain("paused, 23h 59m before 5%");
    expect((await flagwire("ramp", "resume", "a")).stdout).toContain("; 5% at 20");
    expect((await flagwire("ramp", "abort", "a")).stdout).toContain("the ramp is over; the default serves off");
    const { stdout, stderr } = await flagwire("ramp", "status", "a");
    expect([stdout, stderr]).toEqual(["", "flagwire: a has no ramp in production\n"]);
    const { stdout: history } = await flagwire("history", "a", "--limit", "4");
    expect(history.match(/\w+ the ramp of the default(?=\))/g)).toEqual(
      ["ended", "resumed", "paused", "started"].map((verb) => `${verb} the ramp of the default`),
    );
  });

  it("tells of a step, and of none where its flag only held it or let it go on", () => {
    const ramp = create(RampSchema, { ruleId: "r", steps: [{}, {}, {}], nextStepAt: {} });
    const held = create(RampSchema, { ...ramp, pausedWith: durationFromMs(1) });
    const next = create(RampSchema, { ...ramp, currentStep: 1 });
    expect(describeRampChanges([ramp], [next])).toEqual(["step 2 of 3 of the ramp of rule r"]);
    expect([describeRampChanges([ramp], [held]), describeRampChanges([held], [ramp])]).toEqual([[], []]);
  });

  it("answers with a document that has the revision and the settings", async () => {
    await createFlag("b");
    const { stdout } = await flagwire("ramp", "start", "b", "--steps", "1%:90m,100%", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      revision: expect.stringMatching(/^\d+$/),
      targeting: {
        ramps: [{ variant: "on", fromVariant: "off", steps: [{ duration: "5400s" }, { weight: 100_000 }] }],
      },
    });
    for (const action of ["pause", "resume", "abort"]) {
      const { stdout: changed } = await flagwire("ramp", action, "b", "--json");
      expect(JSON.parse(changed)).toMatchObject({ revision: expect.stringMatching(/^\d+$/), targeting: {} });
    }
  });

  it("says who loses a variant at the start, and that a flag that is off holds its ramp", async () => {
    await flagwire("flags", "create", "c", "--type", "boolean", "--kind", "operational");
    const { stdout, stderr } = await flagwire("ramp", "c", "--steps", "1%:1d,100%");
    expect(stderr).toContain("on was served to 100% and begins at 1%: the others lose it for now");
    expect(stderr).toContain('c is off in production, so its ramp waits until "flagwire on c"');
    expect(stdout).toContain("waits until the flag is on and not killed, 1d before 100%");
  });

  it("is of a rule and of other variants where they are named", async () => {
    const variants = ["--variant", "red=1", "--variant", "blue=2", "--default", "red"];
    await flagwire("flags", "create", "d", "--type", "number", "--kind", "operational", ...variants);
    await server.admin.updateTargeting({
      targeting: {
        flagKey: "d",
        enabled: true,
        rules: [
          {
            id: "beta",
            condition: { kind: { case: "all", value: {} } },
            serve: { kind: { case: "variant", value: "red" } },
          },
        ],
      },
    });
    const args = ["--rule", "beta", "--variant", "blue", "--from", "red", "--steps", "10%:1h,50%"];
    expect((await flagwire("ramp", "d", ...args)).stdout).toContain("ramp of rule beta: 10% blue, step 1 of 2; 50% at");
    expect((await flagwire("ramp", "abort", "d", "--rule", "beta")).stdout).toContain("rule beta serves red");
  });

  it("exits with 3 and names the option where the server refuses", async () => {
    await createFlag("e");
    const grows = await flagwire("ramp", "e", "--steps", "5%:1d,1%");
    expect(grows).toMatchObject({ exitCode: 3 });
    expect(grows.stderr).toContain("steps[1].weight");
    const rule = await flagwire("ramp", "e", "--steps", "5%:1d,10%", "--rule", "beta");
    expect(rule.stderr).toContain("--rule (rule_id)");
    expect(await flagwire("ramp", "pause", "e")).toMatchObject({ exitCode: 3 });
    expect((await flagwire("ramp", "nosuch", "--steps", "5%:1d,10%")).stderr).toContain("nosuch");
  });

  it.each([
    [["ramp", "a"], "--steps"],
    [["ramp", "--steps", "1%:1d,100%"], "key"],
    [["ramp", "pause"], "key"],
    [["ramp", "a", "--steps", "1%:1d,100%", "--rule", ""], "--rule is empty"],
  ])("%j is wrong usage", async (args, named) => {
    const { exitCode, stderr } = await flagwire(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(named);
  });
});
