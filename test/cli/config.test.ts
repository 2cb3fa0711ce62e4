import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CliIo } from "../../src/cli/cli-io.js";
import type { CommandRunner } from "../../src/cli/command-runner.js";
import { addServeCommand } from "../../src/cli/commands/serve.js";
import { findSwitches } from "../../src/cli/config/find-switches.js";
import { parseConfigFile } from "../../src/cli/config/parse-config-file.js";
import { printConfig } from "../../src/cli/config/print-config.js";
import { settingShapesOf } from "../../src/cli/config/setting-shape.js";
import { createOutput } from "../../src/cli/output.js";
import { type RunOptions, runFlagwire, startFlagwire } from "./run-flagwire.js";

const program = new Command();
addServeCommand(program, (() => async () => undefined) as CommandRunner);
const shapes = settingShapesOf(program.commands[0] ?? program);

let directory = "";
let config = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flagwire-config-"));
  config = join(directory, "flagwire.yaml");
});
afterEach(() => rm(directory, { recursive: true }));

/** What is in force with a file of this content. */
async function inForce(content: string, argv: readonly string[] = [], options: RunOptions = {}) {
  await writeFile(config, content);
  const all = ["serve", "--config", config, "--print-config", "--json", ...argv];
  const { exitCode, stdout, stderr } = await runFlagwire(all, options);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return JSON.parse(stdout).settings;
}

/** What is complained of. */
async function refused(content: string, ...argv: readonly string[]): Promise<string> {
  await writeFile(config, content);
  const { exitCode, stdout, stderr } = await runFlagwire(["serve", "--config", config, "--print-config", ...argv]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  return stderr;
}

describe("a setting", () => {
  it("of an option goes before its variable, and both before the file", async () => {
    const settings = await inForce("workers: 2\nofrep-rate-limit: 3\nlisten: localhost:1\n", ["--workers", "4"], {
      env: { FLAGWIRE_WORKERS: "5", FLAGWIRE_OFREP_RATE_LIMIT: "6" },
    });
    expect(settings).toMatchObject({
      workers: { value: "4", source: "option", from: "--workers" },
      "ofrep-rate-limit": { value: "6", source: "environment", from: "FLAGWIRE_OFREP_RATE_LIMIT" },
      listen: { value: "localhost:1", source: "file", from: `${config}:3` },
      data: { value: "./data", source: "default" },
    });
  });

  it("of the file goes before an empty variable", async () => {
    const settings = await inForce("workers: 2", [], { env: { FLAGWIRE_WORKERS: "" } });
    expect(settings.workers).toMatchObject({ value: "2", source: "file" });
  });

  it("can be of JSON, a list, a switch", async () => {
    const settings = await inForce(
      '{"cors-origins": ["https://a.test", "https://b.test"],\n "flagd-ports": [9015, 9016],\n "allow-anonymous": true}',
    );
    expect(settings).toMatchObject({
      "cors-origins": { value: "https://a.test,https://b.test" },
      "flagd-ports": { value: "9015,9016", from: `${config}:2` },
      "allow-anonymous": { value: "true", from: `${config}:3` },
    });
  });

  it("that is a switch can be taken from the environment too", async () => {
    const { stderr, exitCode } = await runFlagwire(["serve", "--print-config"], {
      env: { FLAGWIRE_ALLOW_ANONYMOUS: "yes" },
    });
    expect([exitCode, stderr]).toEqual([2, 'flagwire: FLAGWIRE_ALLOW_ANONYMOUS "yes" is not true or false\n']);
    expect(findSwitches(shapes, { FLAGWIRE_ALLOW_ANONYMOUS: "true" }, undefined)).toEqual({ allowAnonymous: true });
    expect(findSwitches(shapes, { FLAGWIRE_ALLOW_ANONYMOUS: "" }, undefined)).toEqual({});
    const settings = await inForce("allow-anonymous: true", [], { env: { FLAGWIRE_ALLOW_ANONYMOUS: "false" } });
    expect(settings["allow-anonymous"]).toMatchObject({ value: "false", source: "environment" });
  });

  it("is in force when the server is started with the file, which a variable may name", async () => {
    const data = join(directory, "data");
    await writeFile(config, `listen: 127.0.0.1:0\ndata: ${data}\nflagd-ports: 0,0\n`);
    const server = startFlagwire(["serve", "--json"], { env: { FLAGWIRE_CONFIG: config } });
    await vi.waitFor(() => expect(server.stdout()).toContain("\n"), { timeout: 15_000 });
    expect(JSON.parse(server.stdout())).toMatchObject({ data, flagd: { sync: expect.any(String) } });
    server.interrupt();
    expect((await server.done).exitCode).toBe(0);
  });

  it.each(shapes.map((shape) => [shape.name, shape] as const))("%s can stand in a file", (name, { kind }) => {
    const text = kind === "switch" ? "true" : "3";
    expect(parseConfigFile(`${name}: ${text}`, "f", shapes).entries.get(name)).toEqual({ text, place: "f:1" });
  });
});

describe("a file with mistakes is refused, and each is named with its line:", () => {
  it("all of them at once", async () => {
    const stderr = await refused(
      "listen: {host: a}\nflagdPorts: true\n\nport: 8013\nworkers: true\ndata:\nimport: ''\nallow-anonymous: maybe\ncors-origins: []\n",
    );
    expect(stderr.split("\n")).toEqual([
      `flagwire: ${config} has settings that cannot be`,
      `  ${config}:1: listen is a mapping; give a text or a number`,
      `  ${config}:2: flagdPorts is no setting; write flagd-ports`,
      expect.stringContaining(`  ${config}:4: port is no setting; there are listen, data, `),
      `  ${config}:5: workers is true; give a text or a number`,
      `  ${config}:6: data is empty; leave it out, or give a text or a number`,
      `  ${config}:7: import is empty; leave it out, or give a text or a number`,
      `  ${config}:8: allow-anonymous is not true or false`,
      `  ${config}:9: cors-origins is an empty list; leave it out, or give a text or a list`,
      "",
    ]);
  });

  it.each([
    ["workers: 0", '1: workers "0" is not a number from 1 to 64, or auto'],
    ["workers: 1.50", '1: workers "1.50" is not'],
    ["# ours\nflagd-ports: 8013,9016", "2: flagd-ports would listen twice on port 8013"],
    ["listen: 8013", '1: listen "8013" is a port'],
    ["cors-origins: [https://a.test/]", "write https://a.test"],
    ["workers: [1, 2]", "1: workers is a list; give a text or a number"],
    ["cors-origins: [[a]]", "1: cors-origins is a list of other things than texts and numbers"],
    ["config: other.yaml", "1: config is no setting"],
    ["tls-cert: &both a.pem\ntls-key: *both", "2: tls-key is an alias; give a text or a number"],
  ])("%j", async (content, complaint) => {
    expect(await refused(content)).toContain(complaint);
  });

  it.each([
    ["workers: 1\nworkers: 2", "2: Map keys must be unique"],
    ['{"workers": 1', "1: "],
    ["- workers", "is no mapping of settings"],
    ["workers", "is no mapping of settings"],
  ])("%j is none", async (content, complaint) => {
    expect(await refused(content)).toContain(complaint);
  });

  it("a file that is not there, by what named it", async () => {
    const missing = await runFlagwire(["serve", "--config", join(directory, "none")]);
    expect(missing.exitCode).toBe(2);
    expect(missing.stderr).toContain(`--config ${join(directory, "none")} cannot be read`);
    const named = await runFlagwire(["serve"], { env: { FLAGWIRE_CONFIG: "/none" } });
    expect(named.stderr).toContain("FLAGWIRE_CONFIG /none cannot be read");
    expect((await runFlagwire(["serve", "--config", ""])).stderr).toBe("flagwire: --config is empty; name a file\n");
  });
});

describe("what is printed of the settings", () => {
  it("is a file that sets the same", async () => {
    await writeFile(config, 'data: "123"\nimport: "a: #b"\nallow-anonymous: true\ncors-origins: "*"\n');
    const first = await runFlagwire(["serve", "--config", config, "--print-config"]);
    expect(first.stdout).toContain(`workers: 1 `);
    expect(first.stdout).toMatch(/^workers: 1 +# default$/m);
    const values = (settings: Record<string, { value: string | null }>) =>
      Object.entries(settings).map(([name, { value }]) => [name, value]);
    const before = await inForce('data: "123"\nimport: "a: #b"\nallow-anonymous: true\ncors-origins: "*"\n');
    expect(values(await inForce(first.stdout))).toEqual(values(before));
    expect(before).toMatchObject({ data: { value: "123" }, import: { value: "a: #b" } });
  });

  it("is such a file for a directory that is called true", async () => {
    const first = await runFlagwire(["serve", "--data", "true", "--flagd-ports", "--print-config"]);
    expect(await inForce(first.stdout)).toMatchObject({ data: { value: "true" }, "flagd-ports": { value: "true" } });
  });

  it("is all of them, with an empty file too", async () => {
    expect(Object.keys(await inForce(""))).toEqual(shapes.map(({ name }) => name));
    expect(await inForce("# nothing\n")).toMatchObject({ listen: { value: "127.0.0.1:8013" } });
  });

  it("hides who logs in with what", async () => {
    const settings = await inForce(
      "import: https://ann:s3cret@files.test/flags.yaml\notlp: https://ann:s3cret@otlp.test",
    );
    expect(settings.import.value).toBe("https://********@files.test/flags.yaml");
    expect(settings.otlp.value).toBe("https://********@otlp.test");
  });

  it("hides what is secret by its name", async () => {
    const command = new Command().option("--sink-token <token>", "").option("--token-streams <n>", "(default 3)");
    const stdout = new PassThrough({ encoding: "utf8" });
    const output = createOutput({ stdout, stderr: stdout } as unknown as CliIo, false);
    const env = { FLAGWIRE_SINK_TOKEN: "s3cret" };
    await printConfig(output, { shapes: settingShapesOf(command), given: {}, env, file: undefined });
    expect(stdout.read()).toBe('sink-token: "********"  # FLAGWIRE_SINK_TOKEN\ntoken-streams: 3        # default\n');
  });

  it("starts nothing", async () => {
    await inForce(`data: ${join(directory, "data")}`);
    const verified = await runFlagwire(["verify", "--data", join(directory, "data")]);
    expect(verified.exitCode).toBe(2);
  });
});
