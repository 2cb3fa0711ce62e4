import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { toShortLine } from "../../src/cli/logger.js";
import { openCollector } from "../server/otlp-collector.js";
import { type RunningCli, runFlagwire, startFlagwire } from "./run-flagwire.js";

let directory = "";
const running: RunningCli[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flagwire-serve-"));
});

afterEach(async () => {
  for (const one of running.splice(0)) {
    one.interrupt();
    await one.done;
  }
  await rm(directory, { recursive: true });
});

const flag = "flags: [{key: seeded, type: boolean, kind: operational, variants: {on: true, off: false}}]";

async function serve(...options: readonly string[]): Promise<{ one: RunningCli; address: string; document: unknown }> {
  const one = startFlagwire([
    "serve",
    "--json",
    "--listen",
    "127.0.0.1:0",
    "--data",
    join(directory, "data"),
    ...options,
  ]);
  running.push(one);
  await vi.waitFor(() => expect(one.stdout()).toContain("\n"), { timeout: 15_000 });
  const document = JSON.parse(one.stdout());
  return { one, address: document.address, document };
}

async function stop(one: RunningCli): Promise<number> {
  one.interrupt();
  return (await one.done).exitCode;
}

describe("serve", () => {
  it("says where everything is, and what to try next", async () => {
    const argv = ["serve", "--listen", "127.0.0.1:0", "--data", join(directory, "data")];
    const one = startFlagwire(argv);
    running.push(one);
    await vi.waitFor(() => expect(one.stdout()).toContain("Try next"), { timeout: 15_000 });
    expect(one.stdout()).toMatch(/^Flagwire 1\.2\.3 serves on 127\.0\.0\.1:\d+\n/);
    for (const text of ["/healthz", "/ofrep/v1/evaluate/flags", join(directory, "data"), "no token exists"])
      expect(one.stdout()).toContain(text);
  });

  it("exports what it records until its end, and shows nobody who logs in there", async () => {
    await using collector = await openCollector();
    const url = collector.url.replace("//", "//ann:s3cret@");
    const { one, address } = await serve("--otlp", url);
    await fetch(`http://${address}/flagwire.v1.EvaluationService/BulkEvaluate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(await stop(one)).toBe(0);
    expect(collector.received).toMatchObject([
      {
        path: "/v1/traces",
        authorization: `Basic ${Buffer.from("ann:s3cret").toString("base64")}`,
        names: ["flagwire.v1.EvaluationService/BulkEvaluate"],
      },
    ]);
    expect(one.stderr()).toContain("traces are exported");
    expect(one.stdout() + one.stderr()).not.toContain("s3cret");
  });

  it("ends in order when told to stop, and finds its data again", async () => {
    const first = await serve();
    await runFlagwire([
      "flags",
      "create",
      "kept",
      "--type",
      "boolean",
      "--kind",
      "operational",
      "--address",
      first.address,
    ]);
    expect(await stop(first.one)).toBe(0);
    const second = await serve();
    expect(second.document).toMatchObject({ flags: 1 });
    expect((await runFlagwire(["flags", "get", "kept", "--address", second.address])).exitCode).toBe(0);
  });

  it("imports a file on its first start only", async () => {
    const path = join(directory, "flags.yaml");
    await writeFile(path, flag);
    const first = await serve("--import", path);
    expect(first.document).toMatchObject({ flags: 1 });
    await runFlagwire(["flags", "delete", "seeded", "--address", first.address]);
    await runFlagwire([
      "flags",
      "create",
      "own",
      "--type",
      "boolean",
      "--kind",
      "operational",
      "--address",
      first.address,
    ]);
    await stop(first.one);
    const second = await serve("--import", path);
    expect((await runFlagwire(["flags", "get", "seeded", "--address", second.address])).exitCode).toBe(3);
  });

  it("does not start with a file that cannot be imported", async () => {
    const path = join(directory, "flags.yaml");
    await writeFile(path, "flags: [{key: seeded, typ: boolean}]");
    const { exitCode, stderr } = await runFlagwire(["serve", "--data", join(directory, "data"), "--import", path]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("seeded: flags[0].typ");
  });

  it("does not start with a file that the service refuses", async () => {
    const path = join(directory, "flags.yaml");
    await writeFile(path, "flags: [{key: seeded, type: boolean, variants: {on: true}}]");
    const argv = ["serve", "--listen", "127.0.0.1:0", "--data", join(directory, "data"), "--import", path];
    const { exitCode, stderr } = await runFlagwire(argv);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("kind");
  });

  it("is refused a data directory that another one uses, and a port that is taken", async () => {
    const { address } = await serve();
    const listening = ["serve", "--listen", "127.0.0.1:0"];
    const sameData = await runFlagwire([...listening, "--data", join(directory, "data")]);
    expect(sameData.exitCode).toBe(3);
    expect(sameData.stderr).toContain("in use");
    const samePort = await runFlagwire(["serve", "--listen", address, "--data", join(directory, "other")]);
    expect(samePort.exitCode).toBe(3);
    expect(samePort.stderr).toContain(`${address} is in use`);
  });

  it.each(["0", "65", "1.5", "-1", "many", ""])("cannot have %s workers", async (workers) => {
    const argv = ["serve", `--workers=${workers}`, "--listen", "127.0.0.1:0", "--data", join(directory, "data")];
    const { exitCode, stderr } = await runFlagwire(argv);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`--workers ${JSON.stringify(workers)} is not a number from 1 to 64, or auto`);
  });

  it("is not given the current directory by an option that is empty, such as of a variable that is not set", async () => {
    const { exitCode, stderr } = await runFlagwire(["serve", "--listen", "127.0.0.1:0", "--data", ""]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: "flagwire: --data is empty; name a directory\n" });
  });

  it("has one worker, itself, unless more are asked for", async () => {
    expect((await serve()).document).toMatchObject({ workers: 1 });
  });

  it("logs a JSON object a line", async () => {
    const { one } = await serve();
    await stop(one);
    const lines = (await one.done).stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    expect(lines).toEqual(["serving", "draining"]);
  });
});

describe("the log on a terminal", () => {
  it("is a short line each", () => {
    const line = JSON.stringify({
      level: 40,
      time: "2026-01-02T03:04:05.678Z",
      msg: "cut\noff",
      peer: "p",
      n: 1,
      err: { message: "why" },
    });
    expect(toShortLine(line)).toBe("03:04:05 warn  cut\\noff peer=p n=1 err=why\n");
  });
});

describe("verify", () => {
  it("finds a served directory sound", async () => {
    await stop((await serve()).one);
    const { exitCode, stdout } = await runFlagwire(["verify", "--data", join(directory, "data")]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("is sound: 1 record and 1 history entry at revision 1");
    const document = await runFlagwire(["verify", "--json", "--data", join(directory, "data")]);
    expect(JSON.parse(document.stdout)).toMatchObject({ ok: true, headRevision: "1", problems: [] });
  });

  it("takes the directory from the environment", async () => {
    await stop((await serve()).one);
    const { exitCode, stdout } = await runFlagwire(["verify"], { env: { FLAGWIRE_DATA: join(directory, "data") } });
    expect(exitCode).toBe(0);
    expect(stdout).toContain(join(directory, "data"));
  });

  it("says no to a damaged one", async () => {
    await stop((await serve()).one);
    const data = join(directory, "broken");
    const { mkdir } = await import("node:fs/promises");
    await mkdir(data);
    await writeFile(join(data, "data.mdb"), Buffer.alloc(16_384, 7));
    const { exitCode, stderr } = await runFlagwire(["verify", "--data", data]);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(data);
  });

  it("needs a directory that is there", async () => {
    expect((await runFlagwire(["verify", "--data", join(directory, "none")])).exitCode).toBe(2);
  });
});
