import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun } from "./run.js";
import { spoilConnections } from "./spoil-connections.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

describe("connections that are cut, stalled, held up and thinned", () => {
  it("lose no write, double none, and bring watchers and mirrors nothing wrong", async () => {
    const setting = { writeTimeoutMs: 1_500, silenceMs: 2_500 };
    await using run = await openRun({ name: "spoil connections", programs, setting });
    const proxy = await run.proxy();
    const impatient = { backoff: { minMs: 20, maxMs: 500 }, staleAfterMs: 2_500, firstMessageTimeoutMs: 2_000 };
    const mirrors = [
      await run.mirror({ ...impatient, address: proxy.address }),
      await run.mirror({ ...impatient, address: proxy.address, environment: "staging" }),
    ];
    run.load({ port: proxy.port, watchers: 5 });
    // Beside them some whom nothing hinders.
    run.load({ writers: 1, watchers: 2, evaluators: 1 });
    await spoilConnections(proxy, run.chance, 20);
    await run.acknowledgedMore(30);
    const { violations } = await run.finish();
    const { connections, cuts, refused } = proxy.counts;
    console.log(`spoil connections: ${connections} connections, ${cuts} cut, ${refused} refused`);
    expect(violations).toEqual([]);
    expect(cuts).toBeGreaterThan(0);
    expect(run.recording.uncertain).toBeGreaterThan(0);
    for (const { counts } of mirrors) expect(counts).toMatchObject({ resyncs: 0 });
  }, 180_000);
});
