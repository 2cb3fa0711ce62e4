import { copyFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect as connectPlain } from "node:net";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { openMirror } from "../../src/client/index.js";
import { keyMaterialProblem } from "../../src/server/tls/key-material.js";
import { TlsFiles, TlsFilesProblem } from "../../src/server/tls/tls-files.js";
import { openTestServer, type TestServer, type TestServerOptions } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { type Certificate, hasOpenssl, TestAuthority } from "./tls-certificates.js";

const quiet = pino({ level: "silent" });

interface ClientTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Clients with connections of their own, closed with the test. */
function clientsOf(server: TestServer, tls: ClientTls, protocol: "grpc" | "connect" = "grpc", token?: string) {
  const baseUrl = `https://${server.address}`;
  const interceptors = [
    (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
      if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
      return next(request as never);
    },
  ] as never;
  if (protocol === "connect") {
    const transport = createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      nodeOptions: { ...tls, agent: false },
      interceptors,
    });
    return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
  }
  const sessionManager = new Http2SessionManager(baseUrl, {}, { ...tls });
  onTestFinished(() => sessionManager.abort());
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors });
  return { admin: createClient(AdminService, transport), evaluation: createClient(EvaluationService, transport) };
}

const outcomeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => Code[ConnectError.from(error).code] ?? "?",
  );

function post(server: TestServer, path: string, tls: ClientTls, headers: Record<string, string> = {}) {
  return new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const [host, port] = server.address.split(":");
    const options = { host, port, path, method: "POST", agent: false, ...tls };
    const sent = request({ ...options, headers: { "content-type": "application/json", ...headers } }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    sent.on("error", reject);
    sent.end("{}");
  });
}

/** A connection whose handshake is done. */
function handshake(server: TestServer, options: object): Promise<TLSSocket> {
  const [host, port] = server.address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), ...options }, () => resolve(socket));
    socket.on("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

describe.skipIf(!hasOpenssl)("a server with a certificate (needs openssl)", () => {
  let authority: TestAuthority;
  let own: Certificate;
  let other: Certificate;
  let ops: Certificate;
  let stranger: Certificate;
  let servers: TestServer[] = [];
  const files: TlsFiles[] = [];

  beforeAll(() => {
    authority = new TestAuthority();
    own = authority.issueServer("server");
    other = authority.issueServer("other");
    ops = authority.issue("ops", "ops", "DNS:ops.test,URI:spiffe://test/payments");
    stranger = authority.issue("stranger", "stranger");
  });

  afterAll(() => authority.remove());

  afterEach(async () => {
    for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
    for (const one of files.splice(0)) one.close();
  });

  async function openFiles(clientCa?: string, clock = new VirtualClock()): Promise<TlsFiles> {
    const folder = authority.folder;
    const paths = { cert: join(folder, "live.pem"), key: join(folder, "live.key"), clientCa };
    copyFileSync(own.certFile, paths.cert);
    copyFileSync(own.keyFile, paths.key);
    const opened = await TlsFiles.open({ paths, log: quiet, clock });
    if (opened instanceof TlsFilesProblem) throw new Error(opened.message);
    files.push(opened);
    return opened;
  }

  async function start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = await openTestServer({ tls: await openFiles(), ...options });
    servers.push(server);
    return server;
  }

  const trusting = () => ({ ca: authority.own.cert });
  const holding = ({ cert, key }: Certificate) => ({ ...trusting(), cert, key });

  test.each(["grpc", "connect"] as const)("answers %s", async (protocol) => {
    const server = await start();
    expect(await outcomeOf(clientsOf(server, trusting(), protocol).admin.listEnvironments({}))).toBe("ok");
  });

  test("keeps a mirror", async () => {
    const server = await start();
    const mirror = await openMirror({ address: `https://${server.address}`, tls: trusting() });
    onTestFinished(() => mirror.close());
    expect(mirror.status).toBe("ready");
  });

  test("answers OFREP and the probes", async () => {
    const server = await start();
    expect((await post(server, "/ofrep/v1/evaluate/flags", trusting())).status).toBe(200);
  });

  test("speaks HTTP/1.1 with who offers both, and HTTP/2 with who offers that alone", async () => {
    const server = await start();
    const spoken = async (ALPNProtocols: string[]) =>
      (await handshake(server, { ...trusting(), ALPNProtocols })).alpnProtocol;
    expect(await spoken(["h2", "http/1.1"])).toBe("http/1.1");
    expect(await spoken(["h2"])).toBe("h2");
    await expect(spoken(["smtp"])).rejects.toThrow();
  });

  test("refuses TLS 1.1, clear text, and clients that do not trust it, and goes on", async () => {
    const server = await start();
    const old = { ...trusting(), minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    await expect(handshake(server, old)).rejects.toThrow();
    await expect(handshake(server, {})).rejects.toThrow(/certificate/);
    const [host, port] = server.address.split(":");
    const socket = connectPlain(Number(port), host);
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write("GET /healthz HTTP/1.1\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
    await vi.waitFor(() => expect(server.server.stats().connections.undecided).toBe(0));
    expect(await outcomeOf(clientsOf(server, trusting()).admin.listEnvironments({}))).toBe("ok");
  });

  test("cuts off who does not finish a handshake, and stops without waiting for others", async () => {
    const server = await start({ limits: { prefaceTimeoutMs: 50 } });
    const [host, port] = server.address.split(":");
    const idle = connectPlain(Number(port), host);
    onTestFinished(() => void idle.destroy());
    idle.on("error", () => undefined);
    await new Promise((resolve) => idle.once("close", resolve));

    const slow = await start({ limits: { prefaceTimeoutMs: 60_000 } });
    const [, slowPort] = slow.address.split(":");
    const waiting = connectPlain(Number(slowPort), host);
    waiting.on("error", () => undefined);
    onTestFinished(() => void waiting.destroy());
    await vi.waitFor(() => expect(slow.server.stats().connections.undecided).toBe(1));
    const closed = new Promise((resolve) => waiting.once("close", resolve));
    await slow.stop();
    await closed;
    servers = servers.filter((one) => one !== slow);
  });

  describe("whose files change", () => {
    const serialOf = async (server: TestServer) => {
      const socket = await handshake(server, trusting());
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };

    test("shows the new certificate to new connections, and keeps the old ones", async () => {
      const tls = await openFiles();
      const server = await start({ tls });
      const clients = clientsOf(server, trusting());
      await clients.admin.listEnvironments({});
      const before = await serialOf(server);
      copyFileSync(other.certFile, join(authority.folder, "live.pem"));
      copyFileSync(other.keyFile, join(authority.folder, "live.key"));
      await tls.refresh();
      expect(await serialOf(server)).not.toBe(before);
      expect(await outcomeOf(clients.admin.listEnvironments({}))).toBe("ok");
    });

    test("looks by itself", async () => {
      const clock = new VirtualClock();
      const tls = await openFiles(undefined, clock);
      let changes = 0;
      tls.onChange(() => {
        changes++;
      });
      copyFileSync(other.certFile, join(authority.folder, "live.pem"));
      copyFileSync(other.keyFile, join(authority.folder, "live.key"));
      await clock.advance(5_000);
      await vi.waitFor(() => expect(changes).toBe(1));
    });

    test("goes on with the old ones while the new ones are broken", async () => {
      const tls = await openFiles();
      const server = await start({ tls });
      const before = await serialOf(server);
      writeFileSync(join(authority.folder, "live.pem"), "-----BEGIN CERTIFICATE-----\nnothing");
      await tls.refresh();
      expect(await serialOf(server)).toBe(before);
      // The certificate has come, its key has not yet.
      copyFileSync(other.certFile, join(authority.folder, "live.pem"));
      await tls.refresh();
      expect(await serialOf(server)).toBe(before);
      copyFileSync(other.keyFile, join(authority.folder, "live.key"));
      await tls.refresh();
      expect(await serialOf(server)).not.toBe(before);
    });
  });

  test("goes on with a certificate that is good while the new one has ended", async () => {
    const short = authority.issueServer("short", 1);
    const clock = new VirtualClock(Date.now() + 1.5 * 24 * 3_600_000);
    const tls = await openFiles(undefined, clock);
    const install = async ({ certFile, keyFile }: Certificate) => {
      copyFileSync(certFile, join(authority.folder, "live.pem"));
      copyFileSync(keyFile, join(authority.folder, "live.key"));
      await tls.refresh();
      return tls.current.cert;
    };
    expect(await install(short)).toBe(own.cert);
    expect(await install(other)).toBe(other.cert);
    // One that has ended is no worse than another.
    await clock.advance(24 * 3_600_000);
    expect(await install(short)).toBe(short.cert);
  });

  describe("that asks clients for theirs", () => {
    const roles = (role: Role, environments: readonly string[] = []) => [{ name: "ops", role, environments }];

    async function startAsking(clientRoles = roles(Role.EDITOR)): Promise<TestServer> {
      return start({ tls: await openFiles(authority.own.certFile), clientRoles });
    }

    test.each(["grpc", "connect"] as const)("gives the role of its name, over %s", async (protocol) => {
      const server = await startAsking(roles(Role.READER));
      const { admin } = clientsOf(server, holding(ops), protocol);
      expect(await outcomeOf(admin.listEnvironments({}))).toBe("ok");
      expect(await outcomeOf(admin.createFlag({ flag: { key: "a" } }))).toBe("PermissionDenied");
    });

    test("gives it to what grpc-js answers itself: compressed calls and streams of requests", async () => {
      const server = await startAsking(roles(Role.READER));
      const { admin } = clientsOf(server, holding(ops));
      const parts = async function* () {
        yield {};
      };
      expect(await outcomeOf(admin.import(parts()))).toBe("PermissionDenied");
      const nobody = clientsOf(server, trusting()).admin;
      expect(await outcomeOf(nobody.import(parts()))).toBe("Unauthenticated");
    });

    test.each(["ops.test", "spiffe://test/payments"])("knows the other name %s", async (name) => {
      const server = await startAsking([{ name, role: Role.READER, environments: [] }]);
      expect(await outcomeOf(clientsOf(server, holding(ops)).admin.listEnvironments({}))).toBe("ok");
    });

    test("limits it to its environments", async () => {
      const server = await startAsking(roles(Role.EDITOR, ["staging"]));
      const { evaluation } = clientsOf(server, holding(ops));
      expect(await outcomeOf(evaluation.bulkEvaluate({ environment: "production" }))).toBe("PermissionDenied");
    });

    test("takes its name as the author of changes", async () => {
      const server = await startAsking(roles(Role.ADMIN));
      const { admin } = clientsOf(server, holding(ops));
      await admin.createEnvironment({ environment: { name: "made" } }, { headers: { "flagwire-author": "somebody" } });
      const { entries } = await admin.listHistory({});
      expect(entries[0]?.author).toBe("ops");
    });

    test("lets nobody in without one, or with one that has no role or another authority's", async () => {
      const server = await startAsking();
      const elsewhere = new TestAuthority();
      onTestFinished(() => elsewhere.remove());
      const forged = elsewhere.issue("ops", "ops");
      const list = (tls: ClientTls, protocol: "grpc" | "connect") =>
        outcomeOf(clientsOf(server, tls, protocol).admin.listEnvironments({}));
      for (const protocol of ["grpc", "connect"] as const) {
        expect(await list(trusting(), protocol)).toBe("Unauthenticated");
        expect(await list(holding(stranger), protocol)).toBe("Unauthenticated");
        expect(await list({ ...trusting(), cert: forged.cert, key: forged.key }, protocol)).toBe("Unauthenticated");
      }
      expect((await post(server, "/ofrep/v1/evaluate/flags", trusting())).status).toBe(401);
      expect((await post(server, "/ofrep/v1/evaluate/flags", holding(ops))).status).toBe(200);
    });

    test("lets it in no longer when it has ended, on a connection that is still open too", async () => {
      const clock = new VirtualClock(Date.now());
      const tls = await openFiles(authority.own.certFile);
      const server = await start({ tls, clock, clientRoles: roles(Role.READER) });
      const { admin } = clientsOf(server, holding(ops));
      expect(await outcomeOf(admin.listEnvironments({}))).toBe("ok");
      await clock.advance(3 * 24 * 3_600_000);
      expect(await outcomeOf(admin.listEnvironments({}))).toBe("Unauthenticated");
    });

    test("goes by a token where one is presented, right or wrong", async () => {
      const server = await startAsking(roles(Role.ADMIN));
      const { admin } = clientsOf(server, holding(ops));
      const { bearer } = await admin.createToken({ token: { name: "reading", role: Role.READER } });
      const call = (tls: ClientTls, token: string) =>
        outcomeOf(clientsOf(server, tls, "grpc", token).admin.createEnvironment({ environment: { name: "a" } }));
      expect(await call(holding(ops), bearer)).toBe("PermissionDenied");
      expect(await call(holding(ops), "fw_wrong")).toBe("Unauthenticated");
      expect(await outcomeOf(clientsOf(server, trusting(), "grpc", bearer).admin.listEnvironments({}))).toBe("ok");
    });
  });

  describe("files that cannot be used", () => {
    const open = async (cert: string, key: string, clientCa?: string) => {
      const opened = await TlsFiles.open({ paths: { cert, key, clientCa }, log: quiet, clock: new VirtualClock() });
      if (opened instanceof TlsFilesProblem) return `${opened.part}: ${opened.message}`;
      opened.close();
      return "sound";
    };

    test("are named, with what is wrong", async () => {
      const missing = join(authority.folder, "missing.pem");
      expect(await open(own.certFile, own.keyFile, authority.own.certFile)).toBe("sound");
      expect(await open(missing, own.keyFile)).toBe(`cert: ${missing} cannot be read: there is no such file`);
      expect(await open(own.certFile, missing)).toBe(`key: ${missing} cannot be read: there is no such file`);
      expect(await open(own.keyFile, own.keyFile)).toContain("cert:");
      expect(await open(own.certFile, own.certFile)).toContain("holds no private key");
      expect(await open(own.certFile, other.keyFile)).toContain("is not the key of the certificate");
      expect(await open(own.certFile, own.keyFile, own.keyFile)).toContain("clientCa:");
      const partial = join(authority.folder, "partial.pem");
      writeFileSync(partial, authority.own.cert + other.cert.slice(0, 100));
      expect(await open(own.certFile, own.keyFile, partial)).toContain("clientCa:");
    });

    test("say nothing of the key", () => {
      const problem = keyMaterialProblem({ cert: own.cert, key: other.key, clientCa: undefined });
      expect(JSON.stringify(problem)).not.toContain(other.key.slice(40, 60));
    });
  });
});
