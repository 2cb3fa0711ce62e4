import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { hasOpenssl, TestAuthority } from "../server/tls-certificates.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { PATIENCE, type Service, start } from "./service.js";

describe.skipIf(!hasOpenssl)("workers over TLS (needs openssl)", () => {
  let build: Build;
  let authority: TestAuthority;

  beforeAll(async () => {
    build = await buildProgram("src/cli");
    authority = new TestAuthority();
  }, 60_000);

  afterAll(async () => {
    authority.remove();
    await build.remove();
  });

  /** The serial number of the certificate that a new connection is shown. */
  function serialOf({ address }: Service): Promise<string> {
    return new Promise((resolve, reject) => {
      const [host, port] = address.split(":");
      const socket = connect({ host, port: Number(port), ca: authority.own.cert }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on("error", reject);
    });
  }

  it("know who holds a certificate, and show the newest of their own, also after they were replaced", async () => {
    const [cert, key] = [join(authority.folder, "live.pem"), join(authority.folder, "live.key")];
    const install = (name: string) => {
      const made = authority.issueServer(name);
      copyFileSync(made.certFile, cert);
      copyFileSync(made.keyFile, key);
    };
    install("first");
    const { certFile, cert: ca } = authority.own;
    const asking = ["--tls-client-ca", certFile, "--tls-client-roles", "ops=admin"];
    const service = await start(build, 2, ["--tls-cert", cert, "--tls-key", key, ...asking]);
    const ops = authority.issue("ops", "ops");
    const listEnvironments = () => {
      const baseUrl = `https://${service.address}`;
      const sessionManager = new Http2SessionManager(baseUrl, {}, { ca, cert: ops.cert, key: ops.key });
      onTestFinished(() => sessionManager.abort());
      return createClient(AdminService, createGrpcTransport({ baseUrl, sessionManager })).listEnvironments({});
    };
    // A connection each.
    for (let worker = 0; worker < 2; worker++) expect((await listEnvironments()).environments).toHaveLength(1);

    const before = await serialOf(service);
    install("second");
    await vi.waitFor(async () => {
      const shown = [await serialOf(service), await serialOf(service)];
      expect(shown).not.toContain(before);
    }, PATIENCE);
    const now = await serialOf(service);

    copyFileSync(ops.certFile, cert);
    await vi.waitFor(() => expect(service.stderr()).toContain("the old ones stay in use"), PATIENCE);
    const killed = service.workers().get(1) ?? 0;
    process.kill(killed, "SIGKILL");
    await vi.waitFor(() => expect(service.workers().get(1)).not.toBe(killed), PATIENCE);
    for (let worker = 0; worker < 4; worker++) expect(await serialOf(service)).toBe(now);

    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, signal: null });
  }, 60_000);
});
