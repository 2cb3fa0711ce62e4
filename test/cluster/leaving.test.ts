import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Build, buildProgram } from "../support/build-program.js";
import { connectTo, PATIENCE, start } from "./service.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

describe("a service that drains after a delay", () => {
  it.each([1, 2])(
    "answers new callers meanwhile, and reports that it is not ready: %i workers",
    async (workers) => {
      const service = await start(build, workers, ["--drain-delay", "3600"]);
      const readiness = async () => (await fetch(`http://${service.address}/readyz`)).status;
      expect(await readiness()).toBe(200);
      service.child.kill("SIGTERM");
      await vi.waitFor(async () => expect(await readiness()).toBe(503), PATIENCE);
      const late = connectTo(service.address);
      expect(await late.evaluation.bulkEvaluate({})).toMatchObject({ evaluations: [] });
      late.close();
      expect(service.stderr()).not.toContain('"msg":"draining"');
      // Whoever cannot wait says so once more.
      service.child.kill("SIGTERM");
      expect(await service.ended).toEqual({ code: 130, signal: null });
    },
    60_000,
  );
});
