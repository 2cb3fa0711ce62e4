import { describe, expect, it } from "vitest";
import { tellViolation } from "../history-checker/index.js";
import { FAILED_SEEDS } from "./failed-seeds.js";
import { simulate } from "./simulation.js";

/** In parts, so that one that fails says so soon. */
const PARTS = 10;
const SEEDS_PER_PART = 100;
/** Another one each time. FLAGWIRE_SEED makes it the same. */
const BASE = Number(process.env.FLAGWIRE_SEED ?? Math.floor(Math.random() * 2 ** 31));

async function expectSound(seed: number): Promise<void> {
  const { violations } = await simulate(seed);
  const found = violations.slice(0, 5).map(tellViolation).join("\n");
  expect(violations.length, `replay it with: npm run soak -- --seed ${seed}\n${found}`).toBe(0);
}

describe("the whole system, simulated, keeps its guarantees", () => {
  it("for seeds that once found something", async () => {
    for (const seed of FAILED_SEEDS) await expectSound(seed);
  });

  for (let part = 0; part < PARTS; part++) {
    const from = BASE + part * SEEDS_PER_PART;
    it(`from seed ${from} on`, { timeout: 120_000 }, async () => {
      for (let seed = from; seed < from + SEEDS_PER_PART; seed++) await expectSound(seed);
    });
  }
});

it("the same seed tells the same story", async () => {
  for (const seed of [BASE, BASE + 1, BASE + 2]) {
    const stories = [[], []] as [string[], string[]];
    for (const story of stories) await simulate(seed, (text) => story.push(text));
    expect(stories[0].length).toBeGreaterThan(0);
    expect(stories[0]).toEqual(stories[1]);
  }
});
