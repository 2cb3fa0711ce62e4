import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Build, buildProgram } from "../support/build-program.js";
import { PATIENCE, type Service, start } from "./service.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

/** Requests that are under way at a time, each on a connection of its own. */
const AT_A_TIME = 20;

/** Asks until the service has ended, or the test. Gives how many were answered so far. */
function load({ address, ended }: Service): () => number {
  let isOver = false;
  let answered = 0;
  const over = () => {
    isOver = true;
  };
  onTestFinished(over);
  void ended.then(over);
  const ask = () => {
    if (isOver) return;
    const request = get(`http://${address}/healthz`, { agent: false }, (response) => {
      response.on("end", () => answered++).resume();
    });
    // One that was lost with its worker is asked again, as all are.
    request.on("error", () => undefined).on("close", () => setImmediate(ask));
  };
  for (let i = 0; i < AT_A_TIME; i++) ask();
  return () => answered;
}

async function untilAnswered(answered: () => number, more: number): Promise<void> {
  const before = answered();
  await vi.waitFor(() => expect(answered()).toBeGreaterThanOrEqual(before + more), PATIENCE);
}

describe("a service that is given connection after connection", () => {
  it("replaces each worker that is killed, and then ends as it should", async () => {
    const service = await start(build, 3);
    const answered = load(service);
    for (let kill = 0; kill < 4; kill++) {
      await untilAnswered(answered, 100);
      const number = 1 + (kill % 3);
      const pid = service.workers().get(number) ?? 0;
      process.kill(pid, "SIGKILL");
      await vi.waitFor(() => expect(service.workers().get(number), service.stderr()).not.toBe(pid), PATIENCE);
    }
    service.child.kill("SIGTERM");
    expect(await service.ended, service.stderr()).toEqual({ code: 0, signal: null });
  }, 120_000);

  it.each([1, 2])(
    "ends with exit code 0 when it is told to, time %i",
    async () => {
      const service = await start(build, 4);
      const answered = load(service);
      await untilAnswered(answered, 500);
      service.child.kill("SIGTERM");
      expect(await service.ended, service.stderr()).toEqual({ code: 0, signal: null });
    },
    60_000,
  );
});
