import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, it, onTestFinished, vi } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { createTcpSource, joinSources, ListenProblem } from "../../src/server/index.js";
import { startFlagwire } from "./run-flagwire.js";

const log = pino({ level: "silent" });
const tcp = (port: number) => createTcpSource({ host: "127.0.0.1", port, log });

function start(...options: readonly string[]) {
  const one = startFlagwire(["serve", "--listen", "127.0.0.1:0", ...options]);
  onTestFinished(async () => {
    one.interrupt();
    await one.done;
  });
  return one;
}

async function dataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "flagwire-ports-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return join(directory, "data");
}

async function freePort(): Promise<number> {
  const source = tcp(0);
  const address = await source.open((socket) => socket.destroy());
  await source.close();
  return "port" in address ? address.port : expect.unreachable(address.message);
}

async function occupyPort(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

it("every port for flagd's clients answers every protocol, and the welcome says where they are", async () => {
  const one = start("--json", "--data", await dataDirectory(), "--flagd-ports", "0,0");
  await vi.waitFor(() => expect(one.stdout()).toContain("\n"), { timeout: 15_000 });
  const { address, flagd } = JSON.parse(one.stdout());
  const addresses = [address, flagd.sync, flagd.ofrep];
  expect(new Set(addresses).size).toBe(3);
  for (const one of addresses) {
    expect((await fetch(`http://${one}/readyz`)).status).toBe(200);
    const grpc = createClient(EvaluationService, createGrpcTransport({ baseUrl: `http://${one}` }));
    expect(await grpc.bulkEvaluate({})).toMatchObject({ evaluations: [] });
  }
});

it("pages of the origins that are given may call, and OFREP has the limit that is given", async () => {
  const web = ["--cors-origins", "https://a.test", "--ofrep-rate-limit", "1"];
  const one = start("--json", "--data", await dataDirectory(), ...web);
  await vi.waitFor(() => expect(one.stdout()).toContain("\n"), { timeout: 15_000 });
  const url = `http://${JSON.parse(one.stdout()).address}/ofrep/v1/evaluate/flags`;
  const statuses = new Set<number>();
  // A second may end between any two of them.
  while (!statuses.has(429)) {
    const response = await fetch(url, { method: "POST", headers: { origin: "https://a.test" }, body: "{}" });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://a.test");
    statuses.add(response.status);
  }
  expect(statuses).toEqual(new Set([200, 429]));
});

it("people are told where the ports for flagd's clients are", async () => {
  const one = start("--data", await dataDirectory(), "--flagd-ports", "0,0");
  await vi.waitFor(() => expect(one.stdout()).toContain("Try next"), { timeout: 15_000 });
  expect(one.stdout()).toMatch(/flagd {3}127\.0\.0\.1:\d+ for sync, 127\.0\.0\.1:\d+ for OFREP/);
});

it.each(["sync", "ofrep"])("a port for %s that is taken is named, and nothing is served", async (which) => {
  const taken = await occupyPort();
  const ports = which === "sync" ? `${taken},0` : `0,${taken}`;
  const one = start("--data", await dataDirectory(), "--flagd-ports", ports);
  const { exitCode, stdout, stderr } = await one.done;
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: "" });
  expect(stderr).toContain(`127.0.0.1:${taken} is in use`);
});

it("sources that are joined are all closed again where one cannot be opened", async () => {
  const free = await freePort();
  const joined = joinSources([tcp(free), tcp(await occupyPort())]);
  expect(await joined.open(() => expect.unreachable())).toBeInstanceOf(ListenProblem);
  expect(joined.addresses).toEqual([]);
  const socket = connect(free, "127.0.0.1");
  const error = await new Promise((resolve) => socket.once("error", resolve));
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});
