import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killServer } from "./kill-server.js";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun } from "./run.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

describe("a server that is killed again and again while it is written to", () => {
  it("loses nothing that it acknowledged, uses no revision twice, and shows its watchers and mirrors nothing wrong", async () => {
    await using run = await openRun({ name: "kill the server", programs });
    const backoff = { minMs: 20, maxMs: 300 };
    const mirrors = [await run.mirror({ backoff }), await run.mirror({ backoff, environment: "staging" })];
    run.load();
    await killServer(run, 10);
    const { violations, acknowledged } = await run.finish();
    expect(violations).toEqual([]);
    expect(acknowledged).toBeGreaterThan(10);
    expect(run.server.starts).toBe(11);
    // Who was up to date resumes; everything comes once.
    for (const { counts } of mirrors) {
      expect(counts).toMatchObject({ fulls: 1, resyncs: 0 });
      expect(counts.attempts).toBeGreaterThan(1);
    }
    for (const watcher of run.watchers) {
      expect(watcher.fulls).toBe(1);
      expect(watcher.streams).toBeGreaterThan(1);
    }
  }, 180_000);
});
