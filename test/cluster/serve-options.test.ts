import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Build, buildProgram } from "../support/build-program.js";
import { connectTo, dataDirectory, launch, start } from "./service.js";

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
