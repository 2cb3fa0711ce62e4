import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { openMirror } from "../../src/client/index.js";
import { type RunningCli, runFlagwire, startFlagwire } from "./run-flagwire.js";

let directory = "";
let data = "";
const running: RunningCli[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flagwire-backup-"));
  data = join(directory, "data");
});

afterEach(async () => {
  for (const one of running.splice(0)) await stop(one);
  await rm(directory, { recursive: true });
});

async function serve(listen = "127.0.0.1:0"): Promise<{ one: RunningCli; address: string }> {
  const one = startFlagwire(["serve", "--json", "--listen", listen, "--data", data]);
  running.push(one);
  await vi.waitFor(() => expect(one.stdout()).toContain("\n"), { timeout: 15_000 });
  return { one, address: JSON.parse(one.stdout()).address };
}

async function stop(one: RunningCli): Promise<void> {
  one.interrupt();
  await one.done;
}

/** Creates a flag, and gives the revision. */
async function create(address: string, key: string): Promise<number> {
  const argv = ["flags", "create", key, "--type", "boolean", "--kind", "operational", "--json", "--address", address];
  const { stdout, stderr, exitCode } = await runFlagwire(argv);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return Number(JSON.parse(stdout).revision);
}

async function answer(...argv: readonly string[]) {
  const { exitCode, stdout, stderr } = await runFlagwire([...argv, "--json"]);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return JSON.parse(stdout);
}

describe("backup and restore", () => {
  it("bring a server back to what it was, and mirrors with it", async () => {
    const backup = join(directory, "backup");
    const first = await serve();
    await create(first.address, "kept");
    const report = await answer("backup", backup, "--data", data);
    expect(report).toMatchObject({ directory: backup, revision: "2", historyCount: 2 });
    for (const key of ["lost-1", "lost-2", "lost-3"]) await create(first.address, key);
    const mirror = await openMirror({ address: first.address, environment: "production" });
    onTestFinished(() => mirror.close());
    expect(mirror.revision).toBe(5);
    expect(mirror.boolean("lost-1", true, {})).toBe(false);

    const owned = await runFlagwire(["restore", backup, "--data", data, "--replace"]);
    expect(owned.exitCode).toBe(3);
    expect(owned.stderr).toContain("in use");
    await stop(first.one);
    const restored = await answer("restore", backup, "--data", data, "--replace");
    expect(restored).toMatchObject({ dryRun: false, sourceEpoch: report.epoch, revision: "2" });
    expect(restored.epoch).not.toBe(report.epoch);
    expect(restored.replaced).toContain(join(data, "replaced-"));
    expect((await answer("verify", "--data", restored.replaced)).headRevision).toBe("5");

    // Up to the revision that the mirror knows as another, before it can see any of it.
    const hidden = await serve();
    for (const key of ["new-1", "new-2", "new-3"]) await create(hidden.address, key);
    await stop(hidden.one);
    await serve(first.address);
    await vi.waitFor(() => expect(mirror.details("new-3", true, {}).value).toBe(false), { timeout: 20_000 });
    expect(mirror.details("lost-1", true, {})).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" });
    expect(mirror.details("kept", true, {}).value).toBe(false);
    expect(mirror.revision).toBe(5);
  }, 40_000);

  it("say in words what they did", async () => {
    const { one, address } = await serve();
    await create(address, "a");
    await stop(one);
    const backup = join(directory, "backup");
    const made = await runFlagwire(["backup", backup, "--data", data]);
    expect(made.stdout).toMatch(/^\S+ is a backup of \S+: .* at revision 2, .* MiB, epoch \S+; verified, [\d.]+ s\n$/);
    const verified = await runFlagwire(["verify", "--data", backup]);
    expect(verified.stdout).toMatch(/is sound: .* at revision 2, epoch \S+, a backup of 20\S+Z\n$/);
    const rehearsed = await runFlagwire(["restore", backup, "--data", data, "--replace", "--dry-run"]);
    expect(rehearsed.stdout).toMatch(/would be restored into .*; nothing was changed\n$/);
    const restored = await runFlagwire(["restore", backup, "--data", data, "--replace"]);
    expect(restored.stdout).toMatch(/is restored from .*, now epoch \S+; what was there before is kept in \S+\n$/);
  });

  it("are refused with an exit code that says why", async () => {
    const { one, address } = await serve();
    await create(address, "a");
    await stop(one);
    const backup = join(directory, "backup");
    const exitCode = async (...argv: readonly string[]) => (await runFlagwire(argv)).exitCode;
    expect(await exitCode("backup")).toBe(2);
    expect(await exitCode("backup", backup, "--data", join(directory, "none"))).toBe(2);
    expect(await exitCode("backup", backup, "--data", data)).toBe(0);
    expect(await exitCode("backup", backup, "--data", data)).toBe(3);
    expect(await exitCode("restore", backup, "--data", data)).toBe(3);
    expect(await exitCode("restore", join(directory, "none"), "--data", data)).toBe(2);
    await truncate(join(backup, "data.mdb"), 4_096);
    expect(await exitCode("restore", backup, "--data", join(directory, "new"))).toBe(1);
  });
});

describe("dump", () => {
  it("prints a line of JSON a piece, beside a running server", async () => {
    const { address } = await serve();
    await create(address, "a");
    const { stdout, exitCode } = await runFlagwire(["dump", "--data", data]);
    expect(exitCode).toBe(0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ header: { formatVersion: "1", headRevision: "2", oldestRevision: "1" } });
    expect(lines).toContainEqual({
      record: { flag: expect.objectContaining({ key: "a", type: "FLAG_TYPE_BOOLEAN" }) },
    });
    expect(lines).toContainEqual({ history: expect.objectContaining({ revision: "2", author: "ada" }) });
    const history = await runFlagwire(["dump", "--data", data, "--history", "--from", "2"]);
    expect(history.stdout.split("\n").map((line) => line.slice(0, 10))).toEqual(['{"header":', '{"history"', ""]);
    expect((await runFlagwire(["dump", "--data", data, "--from", "two"])).exitCode).toBe(2);
  });

  it("ends in order when nobody reads any more", async () => {
    const { one } = await serve();
    await stop(one);
    const { exitCode, stderr } = await runFlagwire(["dump", "--data", data], { outputError: "EPIPE" });
    expect(exitCode).toBe(0);
    expect(stderr).toBe("");
  });

  it("says that there is nothing to print", async () => {
    await writeFile(join(directory, "file"), "");
    expect((await runFlagwire(["dump", "--data", join(directory, "none")])).exitCode).toBe(2);
    expect((await runFlagwire(["dump", "--data", join(directory, "file")])).exitCode).toBe(2);
  });
});
