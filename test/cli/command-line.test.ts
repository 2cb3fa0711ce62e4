import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { runFlagwire } from "./run-flagwire.js";

/** Not the checkout's own: that may be in use, and have tokens. */
const noData = mkdtempSync(join(tmpdir(), "flagwire-command-line-"));

afterAll(() => rmSync(noData, { recursive: true }));

describe("a command line that is not understood", () => {
  it.each([
    [["differ"], "unknown command 'differ'"],
    [["flags", "frob"], "unknown command 'frob'"],
    [["on"], "missing required argument 'key'"],
    [["on", "a", "b"], "Expected 1 argument but got 2; see"],
    [["on", "a", "--frob"], "unknown option '--frob'"],
    [["kill", "a"], "required option '--reason <text>' not specified"],
    [["kill", "--reason", "x"], "name the flags to kill, or give --tag TAG"],
    [["revive"], "name the flags to revive, or give --tag TAG"],
    [["rollout", "a", "25"], '"25" is not a share'],
    [["rollout", "a", "x=30,y=60"], "the shares sum to 90%, not to 100%"],
    [["on", "a", "--expected-revision", "-1"], "is not a revision"],
    [["history", "--limit", "0"], '--limit "0" is not from 1 to'],
    [["eval", "a", "--context", "{"], "--context is not JSON"],
    [["import", "/nonexistent/flags.yaml"], "the file cannot be read"],
    [["import", "-"], "standard input is no flag file"],
    [["flags", "create", "a", "--type", "bool"], "Allowed choices are boolean, string, number, object; see"],
    [["flags", "create", "a", "--expires-at", "2027-01-31"], "is not an RFC 3339 time"],
    [["flags", "create", "a", "--type", "number", "--variant", "a=x"], '"x" is not a number'],
    [["export", "--yaml", "--json"], "--yaml and --json exclude each other"],
    [["flags", "list", "--address", "8013"], "is a port; write 127.0.0.1:8013"],
    [["serve", "--listen", "18041"], "is a port; write 127.0.0.1:18041"],
    [["apply", "-f", "a", "-f", "b"], "-f is given twice"],
    [["eval", "a", "--context", '{"targetingKey":5}'], "targetingKey that is not a string"],
    [["rollout", "a", "33.3333%"], "up to three decimals and the % sign"],
    [["flags", "list", "--address", "a:b:c"], '"a:b:c" is not HOST:PORT'],
    [["flags", "list", "--token", "a b"], "the token has characters that no token has"],
    [["kill", "vip", "--reason", "x", "--env", ""], "--env is empty; name an environment"],
    [["kill", "vip", "--reason", "x", "--env="], "--env is empty; name an environment"],
    [["--env", "", "flags", "list"], "--env is empty; name an environment"],
    [["export", "--env", ""], "--env is empty; name an environment"],
    [["kill", "vip", "--reason", "x", "--tag", ""], "--tag is empty"],
    [["revive", "vip", "--tag", ""], "--tag is empty"],
    [["flags", "list", "--tag", ""], "--tag is empty"],
    [["environments", "create", "copy", "--copy-from", ""], "--copy-from is empty"],
    [["serve", "--listen", "0.0.0.0:0", "--data", noData], "add --allow-anonymous"],
    [["serve", "--listen", "[::]:0", "--data", noData], "add --allow-anonymous"],
  ])("ends with code 2 and one line: %j", async (argv, message) => {
    const { exitCode, stdout, stderr } = await runFlagwire(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^flagwire: [^\n]+\n$/);
  });

  it("leaves nothing behind where it does not serve strangers", async () => {
    const data = join(noData, "never-made");
    await runFlagwire(["serve", "--listen", "0.0.0.0:0", "--data", data]);
    expect(existsSync(data)).toBe(false);
  });

  it("without a command prints the help on standard error", async () => {
    const { exitCode, stdout, stderr } = await runFlagwire([]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("Usage: flagwire");
  });

  it("points to the help of its own command", async () => {
    expect((await runFlagwire(["flags", "get"])).stderr).toContain('see "flagwire flags get --help"');
  });
});

describe("help", () => {
  const commands = [
    ["serve"],
    ["flags"],
    ["flags", "list"],
    ["flags", "get"],
    ["flags", "create"],
    ["flags", "delete"],
    ["on"],
    ["off"],
    ["rollout"],
    ["kill"],
    ["revive"],
    ["import"],
    ["apply"],
    ["export"],
    ["eval"],
    ["watch"],
    ["mirror"],
    ["history"],
    ["verify"],
    ["environments", "list"],
    ["environments", "create"],
    ["segments", "list"],
    ["segments", "get"],
    ["segments", "delete"],
  ];

  it.each(commands)("is there for every command: %s %s", async (...command) => {
    const { exitCode, stdout, stderr } = await runFlagwire([...command.filter(Boolean), "--help"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(`Usage: flagwire ${command.filter(Boolean).join(" ")}`);
  });

  it("tells the exit codes", async () => {
    expect((await runFlagwire(["--help"])).stdout).toContain("Exit codes: 0 done, 1 the answer is no");
  });

  it("has the version beside it", async () => {
    expect(await runFlagwire(["--version"])).toEqual({ exitCode: 0, stdout: "1.2.3\n", stderr: "" });
  });
});

describe("output", () => {
  it("that cannot be written is a failure that is said", async () => {
    const { exitCode, stderr } = await runFlagwire(["--help"], { outputError: "ENOSPC" });
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: "flagwire: the output cannot be written: ENOSPC: it fails\n",
    });
  });

  it("that nobody reads any more is a quiet end", async () => {
    expect(await runFlagwire(["--help"], { outputError: "EPIPE" })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });
});

describe("a server that is not there", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** The address of a server that treats each connection so. */
  async function listen(onConnection: Parameters<typeof createServer>[1]): Promise<string> {
    const server = createServer({}, onConnection);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function unusedAddress(): Promise<string> {
    const address = await listen(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    return address;
  }

  it.each([
    ["on", "a"],
    ["rollout", "a", "5%"],
    ["kill", "a", "--reason", "x"],
    ["flags", "list"],
    ["export"],
    ["watch"],
    ["eval", "a"],
  ])("ends a command with code 3 and says how to start one: %s", async (...argv) => {
    const address = await unusedAddress();
    const { exitCode, stdout, stderr } = await runFlagwire([...argv, "--address", address]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: "" });
    expect(stderr).toContain(`cannot reach the server at ${address}`);
    expect(stderr).toContain('Start one with "flagwire serve"');
  });

  it("but accepts connections and says nothing, ends a write with code 3", async () => {
    const address = await listen((socket) => socket.on("error", () => {}));
    const { exitCode, stderr } = await runFlagwire(["on", "a", "--address", address]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`no answer from ${address} in time`);
  });

  it("but accepts connections and says nothing, ends an import before it is sent", async () => {
    const address = await listen((socket) => socket.on("error", () => {}));
    const { exitCode, stderr } = await runFlagwire(["apply", "-f", "-", "--address", address], { stdin: "flags: []" });
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`cannot reach the server at ${address}: no answer in time`);
  });

  it("but speaks HTTP/1.1 only, is told from one that is down", async () => {
    const web = createWebServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    servers.push(web);
    const address = `127.0.0.1:${(web.address() as AddressInfo).port}`;
    const { exitCode, stderr } = await runFlagwire(["on", "a", "--address", address]);
    expect(exitCode).toBe(3);
    expect(stderr).toBe(`flagwire: what listens at ${address} does not speak gRPC; check --address\n`);
  });
});
