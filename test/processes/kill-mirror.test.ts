import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killMirrors } from "./kill-mirror.js";
import { buildPrograms, type Programs } from "./programs.js";
import { openRun } from "./run.js";

let programs: Programs;
beforeAll(async () => {
  programs = await buildPrograms();
}, 120_000);
afterAll(() => programs.remove());

describe("a mirror with a cache that is killed again and again", () => {
  it("opens from the cache or from the server, and never shows anything that was not", async () => {
    await using run = await openRun({ name: "kill mirrors", programs });
    const proxy = await run.proxy();
    run.load({ watchers: 0, evaluators: 0, writers: 2 });
    const { fromCache, complaints, kills } = await killMirrors(run, proxy, 18);
    console.log(`kill mirrors: ${kills} killed, ${fromCache} opened from the cache`);
    expect(complaints).toEqual([]);
    expect(fromCache).toBeGreaterThan(0);
    expect((await run.finish()).violations).toEqual([]);
  }, 180_000);
});
