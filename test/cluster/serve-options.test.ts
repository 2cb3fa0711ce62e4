import { connect } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { openCollector } from "../server/otlp-collector.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { connectTo, connectToEach, dataDirectory, launch, PATIENCE, start } from "./service.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

it("workers answer on the ports for flagd's clients too", async () => {
  const service = await start(build, 2, ["--flagd-ports", "0,0"]);
  const { flagd } = service.document;
  const addresses = [service.address, flagd?.sync ?? "", flagd?.ofrep ?? ""];
  expect(new Set(addresses).size).toBe(3);
  for (const one of addresses) {
    expect((await fetch(`http://${one}/readyz`)).status).toBe(200);
    const connection = connectTo(one);
    expect((await connection.evaluation.bulkEvaluate({})).evaluations).toEqual([]);
    connection.close();
  }
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, signal: null });
  for (const one of addresses) {
    const socket = connect(Number(one.split(":")[1]), "127.0.0.1");
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  }
}, 60_000);

it("workers let pages of the origins that are given call", async () => {
  const service = await start(build, 2, ["--cors-origins", "https://a.test"]);
  const url = `http://${service.address}/flagwire.v1.EvaluationService/BulkEvaluate`;
  const headers = { origin: "https://a.test", "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: "{}" });
  expect(response.headers.get("access-control-allow-origin")).toBe("https://a.test");
}, 60_000);

it("workers end the streams of a token that is revoked through another of them", async () => {
  const service = await start(build, 2);
  const [first, second] = await connectToEach(service);
  if (first === undefined || second === undefined) throw new Error("there are two");
  const { bearer } = await first.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const root = { headers: { authorization: `Bearer ${bearer}` } };
  const reader = await first.admin.createToken({ token: { name: "reader", role: Role.READER } }, root);
  const headers = { authorization: `Bearer ${reader.bearer}` };
  const streams = [first, second].map(({ evaluation }) => evaluation.watch({}, { headers })[Symbol.asyncIterator]());
  // A worker may not have heard of the token yet.
  await vi.waitFor(() => second.evaluation.bulkEvaluate({}, { headers }), PATIENCE);
  for (const stream of streams) expect((await stream.next()).done).toBe(false);
  await second.admin.revokeToken({ id: reader.token?.id ?? "" }, root);
  for (const stream of streams) {
    await expect(untilEnd(stream)).rejects.toMatchObject({ code: Code.Unauthenticated });
  }
  await expect(first.evaluation.bulkEvaluate({}, { headers })).rejects.toMatchObject({ code: Code.Unauthenticated });
}, 60_000);

async function untilEnd(stream: AsyncIterator<unknown>): Promise<void> {
  while ((await stream.next()).done !== true);
}

it("workers export what they record, each for itself", async () => {
  await using collector = await openCollector();
  const service = await start(build, 2, ["--otlp", collector.url]);
  const url = `http://${service.address}/flagwire.v1.EvaluationService/BulkEvaluate`;
  const headers = { "content-type": "application/json", connection: "close" };
  for (let call = 0; call < 4; call++) await fetch(url, { method: "POST", headers, body: "{}" });
  service.child.kill("SIGTERM");
  expect(await service.ended).toEqual({ code: 0, signal: null });
  const ids = new Set(collector.received.map(({ resource }) => resource["service.instance.id"]));
  const workers = new Set(collector.received.map(({ resource }) => resource["flagwire.worker"]));
  expect(collector.received.flatMap(({ names }) => names)).toContain("flagwire.v1.EvaluationService/BulkEvaluate");
  expect(ids.size).toBe(workers.size);
  expect([...workers].every((worker) => worker === 1 || worker === 2)).toBe(true);
}, 60_000);

it("no worker is started where a port is taken", async () => {
  const first = await start(build, 2, ["--flagd-ports", "0,0"]);
  const taken = first.document.flagd?.ofrep ?? "";
  const ports = `0,${taken.split(":")[1]}`;
  const data = await dataDirectory();
  const second = launch(build, ["--workers", "2", "--data", data, "--listen", "127.0.0.1:0", "--flagd-ports", ports]);
  expect(await second.ended).toEqual({ code: 3, signal: null });
  expect(second.stderr()).toContain(`${taken} is in use`);
  expect(second.workers().size).toBe(0);
}, 60_000);
