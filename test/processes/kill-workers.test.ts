import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { childrenOf, killWorkers } from "./kill-workers.js";
import { pause } from "./pause.js";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun } from "./run.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

const serve = ["--workers", "3"];
const backoff = { minMs: 20, maxMs: 300 };

describe.skipIf(process.platform !== "linux")("a server of several processes (they are found in Linux's /proc)", () => {
  it.concurrent("loses nothing when workers, or all of them with their supervisor, are killed", async () => {
    await using run = await openRun({ name: "kill workers", programs, serve, isOneProcess: false });
    const mirrors = [await run.mirror({ backoff }), await run.mirror({ backoff, environment: "staging" })];
    run.load({ watchers: 6 });
    const { workers, supervisors } = await killWorkers(run, 10);
    const { violations } = await run.finish();
    console.log(`kill workers: ${workers} workers, ${supervisors} supervisors killed`);
    expect(violations).toEqual([]);
    for (const { counts } of mirrors) expect(counts).toMatchObject({ fulls: 1, resyncs: 0 });
  }, 180_000);

  it.concurrent("goes on when one of them is stopped, which comes after when it goes on", async () => {
    // Nothing is gained by more writes while it is stopped.
    const setting = { writeTimeoutMs: 2_000, silenceMs: 20_000, pauseMs: 60 };
    await using run = await openRun({ name: "stop a worker", programs, serve, isOneProcess: false, setting });
    const impatient = { backoff, staleAfterMs: 3_000, firstMessageTimeoutMs: 1_000 };
    for (let n = 0; n < 3; n++) await run.mirror(impatient);
    run.load({ watchers: 6, writers: 6 });
    for (let turn = 0; turn < 2; turn++) {
      await run.acknowledgedMore(20);
      const victim = run.chance.oneOf(childrenOf(run.server.pid));
      process.kill(victim, "SIGSTOP");
      // Long enough for watchdogs and timeouts; who writes elsewhere goes on.
      await pause(6_000);
      process.kill(victim, "SIGCONT");
    }
    await run.acknowledgedMore(20);
    expect((await run.finish()).violations).toEqual([]);
  }, 180_000);
});
