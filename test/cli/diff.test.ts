import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ImpactSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import { describeImpact } from "../../src/cli/commands/impact-lines.js";
import { booleanFlag, serve } from "../server/admin-support.js";
import { type OpenAdmin, openAdmin, users } from "../server/impacts-support.js";
import { type FakeServer, openFakeServer } from "./fake-server.js";
import { type CliRun, runFlagwire } from "./run-flagwire.js";

let opened: OpenAdmin;
let server: FakeServer;
const flagwire = (argv: readonly string[], stdin = ""): Promise<CliRun> =>
  runFlagwire(argv, { stdin, env: { FLAGWIRE_ADDRESS: server.address } });
const note = (text: string) => `flagwire: ${text}\n`;
const hint = (name: string) =>
  note(
    `to see who would get another variant, let the server keep some contexts: flagwire environments set ${name} --keep-contexts on`,
  );

beforeEach(async () => {
  opened = await openAdmin({ privateAttributes: ["email"] });
  server = await openFakeServer(opened.routes);
  await opened.admin.createFlag({ flag: booleanFlag("a") });
  await opened.admin.updateTargeting({
    targeting: { flagKey: "a", enabled: true, offVariant: "off", default: serve("off") },
  });
  opened.contexts.put("production", [{ targetingKey: "u1", plan: "pro" }, { targetingKey: "u2" }, { plan: "pro" }]);
});
afterEach(() => server[Symbol.asyncDispose]());

const targeting = (extra: object = {}) => ({
  flagKey: "a",
  environment: "production",
  enabled: true,
  offVariant: "off",
  default: { variant: "off" },
  ...extra,
});
const file = (...targetings: object[]) => JSON.stringify({ targetings });
const planRule = {
  id: "plan",
  condition: { match: { attribute: "plan", operator: "in", values: ["pro"] } },
  serve: { variant: "on" },
};

describe("diff", () => {
  it("tells what would change and for whom, changes nothing and ends with code 1", async () => {
    const { revision } = opened.head;
    const run = await flagwire(["diff", "-f", "-"], file(targeting({ rules: [planRule] })));
    expect(run.stderr).toBe("");
    expect(run.stdout.split("\n")).toEqual([
      "changed targeting of a in production (rules: 1, were 0)",
      expect.stringMatching(/^ {2}targeting\.rules\[plan\]: nothing → \{"id":"plan",/),
      '2 of 3 sampled contexts would get another variant of a in production: 2 off → on; such as {"targetingKey":"u1","plan":"pro"} off → on',
      "",
    ]);
    expect(run.exitCode).toBe(1);
    expect(opened.head.revision).toBe(revision);
  });

  it("ends with code 0 where nothing would change", async () => {
    const run = await flagwire(["diff", "-f", "-"], file(targeting()));
    expect(run).toEqual({ exitCode: 0, stdout: "nothing would change\n", stderr: "" });
    expect((await flagwire(["diff", "-f", "-", "--json"], file(targeting()))).exitCode).toBe(0);
  });

  it("ends with code 3 where something is refused, which is named, and compares the rest where it may", async () => {
    const wrong = { ...targeting(), flagKey: "none", default: { variant: "on" } };
    const refused = await flagwire(["diff", "-f", "-"], file(targeting(), wrong));
    expect(refused).toMatchObject({ exitCode: 3, stdout: "" });
    expect(refused.stderr).toContain('there is no flag "none"');
    const unreadable = await flagwire(["diff", "-f", "-"], file(targeting({ enabled: "perhaps" })));
    expect(unreadable).toMatchObject({ exitCode: 3, stdout: "" });
    expect(unreadable.stderr).toContain("a: targetings[0]");
    const rest = await flagwire(["diff", "-f", "-", "--skip-invalid"], file(targeting(), wrong));
    expect(rest).toMatchObject({ exitCode: 0, stdout: "nothing would change\n" });
    expect(rest.stderr).toContain("left out: none: ");
  });

  it("prints one document with changes, impacts and what is left out", async () => {
    const wrong = { ...targeting(), flagKey: "none" };
    const args = ["diff", "-f", "-", "--skip-invalid", "--json"];
    const { exitCode, stdout } = await flagwire(args, file(targeting({ default: { variant: "on" } }), wrong));
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      revision: "0",
      changes: [{ key: "a", differences: [{ path: "targeting.default.variant", before: '"off"', after: '"on"' }] }],
      omittedChanges: 0,
      refused: [{ key: "none" }],
      impacts: [
        {
          environment: "production",
          triedContexts: 3,
          changedContexts: 3,
          flags: [
            {
              flagKey: "a",
              moves: [{ before: "off", after: "on", contexts: 3 }],
              examples: [
                { context: { targetingKey: "u1", attributes: { plan: "pro" } } },
                { context: { targetingKey: "u2" } },
                { context: { attributes: { plan: "pro" } } },
              ],
            },
          ],
        },
      ],
    });
  });

  it("says how to have contexts kept where there are none", async () => {
    await opened.admin.createEnvironment({ environment: { name: "staging" } });
    const { stderr } = await flagwire(
      ["diff", "-f", "-", "--env", "staging"],
      file(targeting({ environment: "staging" })),
    );
    expect(stderr).toBe(hint("staging"));
  });

  it("names private attributes that decide, where nobody is found", async () => {
    const emailRule = { ...planRule, condition: { match: { attribute: "email", operator: "in", values: ["x@y.z"] } } };
    const { stdout } = await flagwire(["diff", "-f", "-"], file(targeting({ rules: [emailRule] })));
    expect(stdout.split("\n").slice(2)).toEqual([
      "none of 3 sampled contexts would get another variant in production",
      "contexts are kept without private attributes, which decide here too: email (a)",
      "",
    ]);
  });

  it("tells of several flags below their sum", async () => {
    await opened.admin.createFlag({ flag: booleanFlag("b") });
    const settings = [
      targeting({ rules: [planRule] }),
      targeting({ flagKey: "b", targets: [{ variant: "on", targetingKeys: ["u2"] }] }),
    ];
    const { stdout } = await flagwire(["diff", "-f", "-"], file(...settings));
    expect(stdout.split("\n").slice(-4)).toEqual([
      "3 of 3 sampled contexts would get another variant of some flag in production",
      expect.stringMatching(/^ {2}\d of [ab]: /),
      expect.stringMatching(/^ {2}\d of [ab]: /),
      "",
    ]);
  });
});

describe("a dry run tells who would get another variant", () => {
  const all =
    '3 of 3 sampled contexts would get another variant of a in production: 3 off → on; such as {"targetingKey":"u1","plan":"pro"} off → on\n';

  it("of apply, with what would change, and ends with code 0", async () => {
    const run = await flagwire(["apply", "-f", "-", "--dry-run"], file(targeting({ default: { variant: "on" } })));
    expect(run).toEqual({
      exitCode: 0,
      stderr: "",
      stdout: `1 flag: 0 created, 1 updated, 0 unchanged (dry run: nothing was changed)\nchanged targeting of a in production (default: on)\n  targeting.default.variant: "off" → "on"\n${all}`,
    });
  });

  it("of rollout, on and off", async () => {
    const rollout = await flagwire(["rollout", "a", "100%", "--dry-run"]);
    expect(rollout.stdout).toContain(
      "\n3 of 3 sampled contexts would get another variant of a in production: 2 off → on, 1 off → the caller's default;",
    );
    await opened.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
    });
    const off = await flagwire(["off", "a", "--dry-run"]);
    expect(off.stdout).toBe(
      `a is off in production (dry run: nothing was changed)\n${all.replaceAll("off → on", "on → off")}`,
    );
  });

  it("of a rollback, which names the environments that it leaves as they are", async () => {
    const { revision } = opened.head;
    await opened.admin.updateTargeting({
      targeting: { flagKey: "a", default: serve("on") },
      updateMask: { paths: ["default"] },
    });
    await opened.admin.createEnvironment({ environment: { name: "staging" } });
    const run = await flagwire(["rollback", `${revision}`, "--dry-run"]);
    expect(run.stdout).toContain(all.replaceAll("off → on", "on → off"));
    const left = note(`left as they are, because they were not there at revision ${revision}: staging`);
    expect(run.stderr).toBe(left);
    const made = await flagwire(["rollback", `${revision}`]);
    expect(made.stdout).not.toContain("sampled");
    expect(made.stderr).toBe(left);
  });

  it("but not a write that is made", async () => {
    expect((await flagwire(["off", "a"])).stdout).toMatch(/^a is off in production \(revision \d+\)\n$/);
  });

  it("and says where only some of the contexts were tried", () => {
    const impact = create(ImpactSchema, { environment: "production", triedContexts: 40 });
    const none = "none of 40 sampled contexts would get another variant in production";
    expect(describeImpact(impact, 1_000)).toEqual([
      none,
      "only 40 of the 1000 contexts that are kept of production were tried: the change concerns so many flags",
    ]);
    for (const kept of [undefined, 40, 42]) expect(describeImpact(impact, kept)).toEqual([none]);
  });

  it("and counts the flags for which there is no room, but for those of which nobody was found", () => {
    const flagOf = (index: number, changedContexts: number) => ({
      flagKey: `f${index}`,
      changedContexts,
      moves: [{ before: "a", after: "b", contexts: changedContexts }],
    });
    const lines = (found: number, none: number) => {
      const flags = Array.from({ length: found + none }, (_, index) => flagOf(index, index < found ? 2 : 0));
      const counts = { triedContexts: 3, changedContexts: 2, omittedFlags: 5 };
      return describeImpact(create(ImpactSchema, { environment: "staging", flags, ...counts }), 3);
    };
    const [sum, ...rest] = lines(12, 0);
    expect(sum).toBe("2 of 3 sampled contexts would get another variant of some flag in staging");
    expect(rest[0]).toBe("  2 of f0: 2 a → b");
    expect(rest.slice(10)).toEqual(["  and 7 further flags"]);
    expect(lines(1, 1)).toEqual(["2 of 3 sampled contexts would get another variant of f0 in staging: 2 a → b"]);
  });

  it("and shortens long contexts and long lists of variants", async () => {
    const names = ["off", "on", "v1", "v2", "v3", "v4", "v5"];
    const variants = Object.fromEntries(names.map((name) => [name, name]));
    const flags = [{ key: "many", type: "string", kind: "operational", variants }];
    const targets = names.map((variant, index) => ({ variant, targetingKeys: [`u${index}`] }));
    opened.contexts.put(
      "production",
      users(7).map((user) => ({ ...user, long: "x".repeat(500) })),
    );
    const content = JSON.stringify({ flags, targetings: [targeting({ flagKey: "many", targets })] });
    const { stdout } = await flagwire(["diff", "-f", "-"], content);
    expect(stdout).toMatch(
      /the caller's default → v3, and others; such as \{"targetingKey":"u\d","long":"x+… the caller's/,
    );
  });
});
