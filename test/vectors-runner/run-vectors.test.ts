import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { type EvaluateResponseSchema, EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type FakeServer, openFakeServer } from "../cli/fake-server.js";
import { buildProgram } from "../support/build-program.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { prerequisites } from "../vectors-source/prerequisites.js";
import { toText, type VectorFile } from "../vectors-source/vector-file.js";
import { type ExitCode, runVectors } from "./run-vectors.js";

interface Run {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

const flag = (key: string) => ({
  key,
  type: "FLAG_TYPE_BOOLEAN",
  kind: "FLAG_KIND_OPERATIONAL",
  variants: { on: true, off: false },
});
const on = { reason: "STATIC", value: true, variant: "on" };
const small: VectorFile = {
  description: "Two flags.",
  file: {
    flags: [flag("v-on"), flag("v-killed")],
    targetings: [
      { flagKey: "v-on", enabled: true, default: { variant: "on" } },
      { flagKey: "v-killed", enabled: true, offVariant: "off", killed: { reason: "why" }, default: { variant: "on" } },
    ],
    segments: [],
  },
  cases: [
    { flagKey: "v-on", context: {}, ...on },
    { flagKey: "v-killed", context: { targetingKey: "u1", a: [1] }, reason: "KILLED", value: false, variant: "off" },
    { flagKey: "v-none", context: {}, reason: "ERROR", errorCode: "FLAG_NOT_FOUND" },
  ],
};
/** With a flag that nobody may take over. */
const withRefused: VectorFile = {
  description: "One sound flag, one not.",
  file: {
    flags: [flag("w-on"), flag("w-bad")],
    targetings: [
      { flagKey: "w-on", enabled: true, default: { variant: "on" } },
      { flagKey: "w-bad", enabled: true, default: { variant: "none" } },
    ],
    segments: [],
  },
  refused: { flags: ["w-bad"], segments: [] },
  cases: [
    { flagKey: "w-on", context: {}, ...on },
    { flagKey: "w-bad", context: {}, reason: "ERROR", errorCode: "MALFORMED_FLAG" },
  ],
};

let server: TestServer;
let folder: string;

beforeEach(async () => {
  server = await openTestServer();
  folder = mkdtempSync(join(tmpdir(), "flagwire-vectors-"));
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function write(file: VectorFile | string, name = "small.json"): string {
  const path = join(folder, name);
  writeFileSync(path, typeof file === "string" ? file : toText(file));
  return path;
}

async function run(...args: string[]): Promise<Run> {
  let [stdout, stderr] = ["", ""];
  const output = { stdout: (text: string) => (stdout += text), stderr: (text: string) => (stderr += text) };
  const exitCode = await runVectors(args, output);
  return { exitCode, stdout, stderr };
}

/** A server that takes files over, answers over HTTP/2 only, and evaluates as it is told. */
function openLosingServer(
  evaluate: () => Promise<MessageInitShape<typeof EvaluateResponseSchema>>,
): Promise<FakeServer> {
  return openFakeServer((router) => {
    router.service(AdminService, {
      listEnvironments: () => ({}),
      createEnvironment: () => ({}),
      listFlags: () => ({}),
      import: async (requests) => {
        for await (const _ of requests);
        return {};
      },
      killFlags: () => ({}),
    });
    router.service(EvaluationService, { evaluate });
  });
}

const toValue = (value: boolean) => ({ kind: { case: "boolValue" as const, value } });

const runHere = (...args: string[]) => run("--address", server.address, ...args);

async function changesOf(act: () => Promise<unknown>): Promise<bigint> {
  const before = (await server.admin.listFlags({})).revision;
  await act();
  return (await server.admin.listFlags({})).revision - before;
}

describe("a run", () => {
  it("prints a line for a file of which every answer is as expected", async () => {
    const { exitCode, stdout, stderr } = await runHere(write(small), write(withRefused, "refused.json"));
    expect(stdout.split("\n")).toEqual([
      "small.json               3 cases: alike",
      "refused.json             2 cases, 1 refused: alike",
      `http://${server.address}: 5 cases, each by Evaluate over gRPC, Evaluate as JSON, BulkEvaluate: every answer is as expected`,
      "",
    ]);
    expect([exitCode, stderr]).toEqual([0, ""]);
  });

  it("can be repeated, and with other contents of the same flags", async () => {
    expect((await runHere(write(small), write(withRefused, "refused.json"))).exitCode).toBe(0);
    expect((await runHere(write(small), write(withRefused, "refused.json"))).exitCode).toBe(0);
    const [, killed] = small.file.targetings;
    const targetings = [{ flagKey: "v-on" }, { flagKey: "v-killed", enabled: true, default: { variant: "on" } }];
    const cases = [
      { flagKey: "v-on", context: {}, reason: "DISABLED" },
      { flagKey: "v-killed", context: {}, ...on },
    ];
    expect(killed).toHaveProperty("killed");
    expect(await runHere(write({ ...small, file: { ...small.file, targetings }, cases }))).toMatchObject({
      exitCode: 0,
    });
  });

  it("finds an answer that is not as expected, and says which, by every way", async () => {
    const [first, ...rest] = small.cases;
    if (first === undefined) throw new Error("there are cases");
    const { exitCode, stdout } = await runHere(write({ ...small, cases: [{ ...first, value: false }, ...rest] }));
    expect(exitCode).toBe(1);
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      "small.json               3 cases: 3 differences",
      "  v-on for {} by Evaluate over gRPC",
      '    expected {"reason":"STATIC","value":false,"variant":"on"}',
      '    got      {"value":true,"variant":"on","reason":"STATIC"}',
    ]);
    for (const way of ["Evaluate over gRPC", "Evaluate as JSON", "BulkEvaluate"]) {
      expect(stdout).toContain(`  v-on for {} by ${way}\n`);
    }
  });

  it.each<[string, Partial<VectorFile["cases"][number]>]>([
    ["another reason", { reason: "DEFAULT" }],
    ["no value", { value: null }],
    ["something more", { ruleId: "r" }],
    ["another flag", { flagKey: "v-none" }],
  ])("finds %s", async (_what, change) => {
    const [first] = small.cases;
    if (first === undefined) throw new Error("there are cases");
    const { exitCode, stdout } = await runHere(write({ ...small, cases: [{ ...first, ...change }] }));
    expect([exitCode, stdout.split("\n")[0]]).toEqual([1, "small.json               1 cases: 3 differences"]);
  });

  it("finds what a server takes over and must not, and what it refuses and must not", async () => {
    const sound = { ...withRefused, refused: { flags: ["w-on"], segments: [] } };
    const { exitCode, stdout } = await runHere(write(sound));
    expect(exitCode).toBe(1);
    expect(stdout).toContain("the server takes over w-on, which it must refuse\n");
    expect(stdout).toContain("the server refuses w-bad, which is sound\n");
  });

  it("finds a file that is refused although nothing of it is to be", async () => {
    const { refused: _refused, ...sound } = withRefused;
    const { exitCode, stdout } = await runHere(write(sound));
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/the server refuses the file: .*w-bad.*targeting\.default\.variant/);
  });

  it("finds a server that takes a file over whole", async () => {
    const sound = { ...small, refused: { flags: ["v-on"], segments: [] } };
    expect((await runHere(write(sound))).stdout).toContain(
      "takes the file over whole, though it must refuse some of it",
    );
  });

  it("prints one JSON document with --json", async () => {
    const { exitCode, stdout } = await runHere(
      "--json",
      write({ ...small, cases: [{ flagKey: "v-on", context: {}, reason: "KILLED" }] }),
    );
    const report = JSON.parse(stdout);
    expect(exitCode).toBe(1);
    expect(report).toMatchObject({
      alike: false,
      address: `http://${server.address}`,
      files: [{ name: "small.json", cases: 1 }],
    });
    expect(report.files[0].differences[1]).toEqual({
      way: "Evaluate as JSON",
      flagKey: "v-on",
      context: {},
      expected: { reason: "KILLED" },
      got: on,
    });
  });

  it("leaves other environments as they were", async () => {
    await runHere(write(small));
    const { targeting } = await server.admin.getTargeting({ flagKey: "v-on" });
    expect(targeting?.enabled).toBe(false);
  });
});

describe("a run touches nothing", () => {
  const own = {
    key: "v-on",
    type: FlagType.STRING,
    kind: FlagKind.OPERATIONAL,
    variants: { a: { kind: { case: "stringValue", value: "A" } } },
  } as const;

  it("where the server has a flag of its own of one of the keys", async () => {
    await server.admin.createFlag({ flag: own });
    let result: Run | undefined;
    expect(await changesOf(async () => (result = await runHere(write(small))))).toBe(0n);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result?.stderr).toMatch(
      /^the server has flags of its own of these keys: v-on; nothing was changed\. Use a fresh server: /,
    );
  });

  it("where the server has an environment of its own of that name", async () => {
    await server.admin.createEnvironment({ environment: { name: "vectors" } });
    let result: Run | undefined;
    expect(await changesOf(async () => (result = await runHere(write(small))))).toBe(0n);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result?.stderr).toContain("an environment vectors of its own");
  });

  it("else: flags of other keys, and the same flag, do not matter", async () => {
    await server.admin.createFlag({ flag: { ...own, key: "other" } });
    const bool = (value: boolean) => ({ kind: { case: "boolValue" as const, value } });
    const same = { key: "v-on", type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, tags: ["t"] };
    await server.admin.createFlag({ flag: { ...same, variants: { on: bool(true), off: bool(false) } } });
    expect((await runHere(write(small))).exitCode).toBe(0);
  });
});

describe("a run ends with", () => {
  it.each<[string, string[], string]>([
    ["an unknown option", ["--bogus"], "usage: npm run vectors"],
    ["an address without a port", ["--address", "localhost"], '--address "localhost" is not HOST:PORT'],
    ["an address with a path", ["--address", "http://x:1/y"], "is not HOST:PORT"],
    ["a file that is not there", ["--address", "127.0.0.1:1", "/no/such/file.json"], "/no/such/file.json: ENOENT"],
    ["a folder", ["--address", "127.0.0.1:1", tmpdir()], `${tmpdir()}: is a folder; name the files in it`],
  ])("2 for %s", async (_what, args, message) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  it.each([[[]], [["--json"]]])("2 without an address, and what a run does to a server: %j", async (args) => {
    const { exitCode, stdout, stderr } = await run(...args, write(small));
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^--address is required: [^\n]*\n$/);
    expect(stderr).toContain("leaves flags of its own in the server");
    expect(stderr).toContain("npx flagwire serve --listen 127.0.0.1:8014 --data /tmp/flagwire-vectors");
  });

  it("0 for --help, which prints the usage", async () => {
    const { exitCode, stdout, stderr } = await run("--help");
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^usage: npm run vectors -- --address HOST:PORT /);
  });

  it.each([
    ["no JSON", "{", "is no JSON"],
    ["a list", "[]", "is no JSON object"],
    ["without flags", '{"cases":[]}', "has no flags under file"],
    ["no FlagFile", '{"file":{"flagz":[]},"cases":[]}', "flagz"],
    ["without a list of cases", '{"file":{}}', "has no list of cases"],
    ["without cases", '{"file":{},"cases":[]}', "has no cases"],
    ["no JSON, in several lines", "flags:\n  - key: a\n", "is no JSON"],
    ["a case without a reason", '{"file":{},"cases":[{"flagKey":"x","context":{}}]}', "cases[0] lacks"],
    ["refused that is no list", '{"file":{},"refused":{"flags":"x"},"cases":[]}', "refused.flags is no list"],
  ])("2 for a file that is %s", async (_what, text, message) => {
    const { exitCode, stdout, stderr } = await runHere(write(text));
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^[^\n]+\n$/);
  });

  it("3 where nobody listens", async () => {
    await server.stop();
    const { exitCode, stderr } = await runHere(write(small));
    expect([exitCode, stderr.split("\n").length]).toEqual([3, 2]);
    expect(stderr).toMatch(/^cannot reach the server: .*--address\n$/);
  });

  it("3 at the first connection that is lost, and one line: what was not asked is no difference", async () => {
    let asked = 0;
    await using lost = await openLosingServer(() => {
      asked += 1;
      lost.cut();
      return new Promise(() => {});
    });
    const [first] = small.cases;
    const cases = Array.from({ length: 500 }, () => first).filter((vector) => vector !== undefined);
    const { exitCode, stdout, stderr } = await run("--address", lost.address, write({ ...small, cases }));
    expect([exitCode, stdout]).toEqual([3, ""]);
    expect(stderr).toBe(`the connection to http://${lost.address} was lost; nothing more was asked\n`);
    expect(asked).toBeLessThan(500);
  });

  it("3 where JSON over HTTP/1.1 gets no answer", async () => {
    const [vector] = small.cases;
    if (vector === undefined) throw new Error("there are cases");
    await using lost = await openLosingServer(async () => ({ reason: "STATIC", variant: "on", value: toValue(true) }));
    const file = { ...small, cases: [vector] };
    const { exitCode, stdout, stderr } = await run("--address", lost.address, write(file));
    expect([exitCode, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/^the connection to http:\/\/127\.0\.0\.1:\d+ was lost: [^\n]+; nothing more was asked\n$/);
  });

  it("3 for a token that the server does not know", async () => {
    const { exitCode, stderr } = await runHere("--token", "wrong", write(small));
    expect(exitCode).toBe(3);
    expect(stderr).toContain("--token");
  });
});

describe("the command", () => {
  let program: Awaited<ReturnType<typeof buildProgram>>;

  beforeAll(async () => {
    program = await buildProgram("test/vectors-runner/main.ts");
  });
  afterAll(() => program.remove());

  it("runs without a loader, with its exit code, in the project's folder", async () => {
    const main = program.compiled("test/vectors-runner/main.ts");
    const path = write(prerequisites());
    const args = [main, "--address", server.address, path];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: resolve(import.meta.dirname, "../.."),
    });
    expect(stdout).toContain(`${prerequisites().cases.length} cases: alike`);
    await expect(promisify(execFile)(process.execPath, [main, "--bogus"])).rejects.toMatchObject({ code: 2 });
    await expect(promisify(execFile)(process.execPath, [main], { cwd: folder })).rejects.toMatchObject({ code: 2 });
    const help = await promisify(execFile)(process.execPath, [main, "--help"], { cwd: folder });
    expect(help.stdout).toContain("usage: npm run vectors");
  });
});
