import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pause } from "./pause.js";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun } from "./run.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

const backoff = { minMs: 50, maxMs: 500 };
/** Nothing is gained by more calls while something is stopped, and other tests run meanwhile. */
const pauseMs = 240;

describe("a process that is stopped for a while", () => {
  it.concurrent("and is the server makes mirrors stale after their time, and all come together when it goes on", async () => {
    const setting = { writeTimeoutMs: 5_000, silenceMs: 20_000, pauseMs };
    await using run = await openRun({ name: "stop the server", programs, setting });
    const usual = await run.mirror({ backoff });
    const nervous = await run.mirror({ backoff, staleAfterMs: 3_000, firstMessageTimeoutMs: 2_000 });
    run.load();
    await run.acknowledgedMore(50);
    const acknowledged = run.recording.acknowledged;
    run.server.signal("SIGSTOP");
    await run.until("the nervous mirror is stale", () => nervous.status === "stale");
    const { attempts } = nervous.counts;
    expect(usual.status).toBe("ready");
    await run.until("it tries again and again", () => nervous.counts.attempts > attempts + 2);
    // With the watchdog's 45 s.
    await run.until("the usual mirror is stale", () => usual.status === "stale", 120_000);
    await pause(run.chance.between(0, 15_000));
    expect(run.recording.acknowledged - acknowledged).toBeLessThan(10);
    run.server.signal("SIGCONT");
    await run.until("all are ready again", () => usual.status === "ready" && nervous.status === "ready");
    await run.acknowledgedMore(50);
    expect((await run.finish()).violations).toEqual([]);
    for (const { counts, statuses } of [usual, nervous]) {
      // What happened meanwhile is not much: it resumes.
      expect(counts).toMatchObject({ fulls: 1, resyncs: 0 });
      expect(statuses).toContain("stale");
    }
  }, 240_000);

  it.concurrent("and is a mirror troubles nobody else, and comes up to date when it goes on", async () => {
    await using run = await openRun({ name: "stop a mirror", programs, setting: { pauseMs } });
    const stopped = await run.mirror({ backoff });
    const other = await run.mirror({ backoff });
    run.load();
    await run.acknowledgedMore(50);
    stopped.child.signal("SIGSTOP");
    const { attempts } = other.counts;
    // What it said last is heard before what the other one says of a later write.
    const lastRevision = other.revision;
    await run.acknowledgedMore(5);
    await run.until("what it said last is heard", () => other.revision > lastRevision + 5);
    const stoppedAt = stopped.revision;
    // Longer than a client may take that does not read.
    const stoppedMs = 40_000;
    const start = performance.now();
    while (performance.now() - start < stoppedMs) {
      const { revision } = other;
      await run.acknowledgedMore(20);
      await run.until("the other mirror goes on", () => other.revision > revision);
    }
    expect(stopped.revision).toBe(stoppedAt);
    stopped.child.signal("SIGCONT");
    await run.until("it has come after", () => stopped.revision > stoppedAt);
    expect((await run.finish()).violations).toEqual([]);
    expect(other.counts).toMatchObject({ fulls: 1, attempts, resyncs: 0 });
    expect(stopped.counts.resyncs).toBe(0);
  }, 240_000);
});
