import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Certificate, hasOpenssl, TestAuthority } from "../server/tls-certificates.js";
import { runFlagwire, startFlagwire } from "./run-flagwire.js";

const flag = "flags: [{key: seeded, type: boolean, kind: operational, variants: {on: true, off: false}}]";

describe.skipIf(!hasOpenssl)("serve over TLS (needs openssl)", () => {
  let authority: TestAuthority;
  let own: Certificate;
  let ops: Certificate;

  beforeAll(() => {
    authority = new TestAuthority();
    own = authority.issueServer("server");
    ops = authority.issue("ops", "ops");
  });

  afterAll(() => authority.remove());

  const keys = () => ["--tls-cert", own.certFile, "--tls-key", own.keyFile];
  const asking = (roles: string) => ["--tls-client-ca", authority.own.certFile, "--tls-client-roles", roles];

  function dataDirectory(): string {
    const folder = mkdtempSync(join(tmpdir(), "flagwire-serve-tls-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return join(folder, "data");
  }

  async function serve(...options: readonly string[]): Promise<{ address: string; tls: boolean; flags: number }> {
    const one = startFlagwire(["serve", "--json", "--listen", "127.0.0.1:0", "--data", dataDirectory(), ...options]);
    onTestFinished(async () => {
      one.interrupt();
      await one.done;
    });
    await vi.waitFor(() => expect(one.stdout(), one.stderr()).toContain("\n"), { timeout: 15_000 });
    return JSON.parse(one.stdout());
  }

  it("imports its first flags, and is called by who trusts it", async () => {
    const path = join(authority.folder, "flags.yaml");
    writeFileSync(path, flag);
    const { address, tls, flags } = await serve(...keys(), "--import", path);
    expect({ tls, flags }).toEqual({ tls: true, flags: 1 });
    const get = ["flags", "get", "seeded", "--address", `https://${address}`];
    expect(await runFlagwire([...get, "--ca", authority.own.certFile])).toMatchObject({ exitCode: 0, stderr: "" });
    expect((await runFlagwire(get, { env: { FLAGWIRE_CA: authority.own.certFile } })).exitCode).toBe(0);
    const distrusting = await runFlagwire(get);
    expect(distrusting.exitCode).toBe(3);
    expect(distrusting.stderr).toContain("certificate");
  });

  it("gives holders of certificates their roles", async () => {
    const { address } = await serve(...keys(), ...asking("ops=reader"));
    const server = ["--address", `https://${address}`, "--ca", authority.own.certFile];
    const holding = ["--client-cert", ops.certFile, "--client-key", ops.keyFile];
    expect((await runFlagwire(["flags", "list", ...server, ...holding])).exitCode).toBe(0);
    const write = await runFlagwire(["environments", "create", "qa", ...server, ...holding]);
    expect(write).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("admin") });
    expect((await runFlagwire(["flags", "list", ...server])).exitCode).toBe(3);
    const untrusting = await runFlagwire(["flags", "list", "--address", `https://${address}`]);
    expect(untrusting).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("not trusted") });
  });

  it("needs no token off loopback where certificates have roles", async () => {
    const { address } = await serve(...keys(), ...asking("ops=admin"), "--listen", "0.0.0.0:0");
    expect(address).toMatch(/^0\.0\.0\.0:\d+$/);
  });

  it("ends with 2 and one line for files that cannot be used", async () => {
    const missing = join(authority.folder, "missing.pem");
    for (const [options, complaint] of [
      [["--tls-cert", missing, "--tls-key", own.keyFile], `--tls-cert: ${missing} cannot be read`],
      [["--tls-cert", own.certFile, "--tls-key", ops.keyFile], `--tls-key: ${ops.keyFile} is not the key`],
      [[...keys(), "--tls-client-ca", missing, "--tls-client-roles", "a=admin"], "--tls-client-ca: "],
    ] as const) {
      const run = await runFlagwire(["serve", "--listen", "127.0.0.1:0", "--data", dataDirectory(), ...options]);
      expect(run.exitCode).toBe(2);
      expect(run.stderr).toContain(complaint);
      expect(run.stderr.trim().split("\n")).toHaveLength(1);
    }
  });

  it("is wrong usage for a client with a key of another certificate, or an authority that is none", async () => {
    const address = ["--address", "https://127.0.0.1:1"];
    const foreign = ["--client-cert", ops.certFile, "--client-key", own.keyFile];
    const mixed = await runFlagwire(["flags", "list", ...address, ...foreign]);
    expect(mixed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`--client-cert ${ops.certFile} with`) });
    const none = await runFlagwire(["flags", "list", ...address, "--ca", own.keyFile]);
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`--ca ${own.keyFile} cannot be used`) });
  });
});

describe("a client's certificate", () => {
  it("needs its key, and a file that is there", async () => {
    const address = ["--address", "https://127.0.0.1:1"];
    const alone = await runFlagwire(["flags", "list", ...address, "--client-cert", "a.pem"]);
    expect(alone).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--client-key") });
    const missing = await runFlagwire(["flags", "list", ...address, "--ca", "/nowhere/a.pem"]);
    expect(missing).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--ca /nowhere/a.pem") });
  });
});
