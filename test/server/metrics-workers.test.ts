import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { connectToEach, PATIENCE, start } from "../cluster/service.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { parseMetrics } from "./metrics-support.js";

let build: Build;
beforeAll(async () => {
  build = await buildProgram("src/cli");
}, 60_000);
afterAll(() => build.remove());

it("one scrape of a service with workers has each of them, and its supervisor", async () => {
  const service = await start(build, 2);
  const connections = await connectToEach(service);
  for (const { evaluation } of connections) await evaluation.evaluate({ flagKey: "none" }).catch(() => undefined);
  await vi.waitFor(async () => {
    const response = await fetch(`http://${service.address}/metrics`);
    const { value } = parseMetrics(await response.text());
    for (const worker of ["1", "2"]) {
      expect(value("flagwire_calls_total", { method: "Evaluate", code: "NOT_FOUND", worker })).toBe(1);
      expect(value("flagwire_store_free_bytes", { worker })).toBeGreaterThan(0);
      expect(value("flagwire_head_lag_revisions", { worker })).toBe(0);
    }
    for (const worker of ["1", "2", "supervisor"]) {
      expect(value("process_resident_memory_bytes", { worker })).toBeGreaterThan(0);
    }
  }, PATIENCE);
}, 60_000);
