import { expect, it } from "vitest";
import { type Random, Reservoir } from "../../src/base/index.js";
import { SEED } from "../engine/arbitrary-words.js";

/** So many numbers pass by, from 0. */
function sampleOf(size: number, count: number, random: Random): readonly number[] {
  const reservoir = new Reservoir<number>(size, random);
  for (let number = 0; number < count; number++) if (reservoir.takes()) reservoir.put(number);
  return reservoir.items;
}

/** Marsaglia's 32-bit xorshift. */
function randomOf(seed: number): Random {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

it("a sample is all that passed where that is no more than its size", () => {
  expect(sampleOf(5, 0, () => 0.5)).toEqual([]);
  expect(sampleOf(5, 5, () => 0.5)).toEqual([0, 1, 2, 3, 4]);
});

it.each([0, 1 - Number.EPSILON])("a sample has its size whatever chance says, such as always %s", (chance) => {
  expect(sampleOf(5, 10_000, () => chance)).toHaveLength(5);
});

it(`a sample holds what passed first, in between and last about as often (seed ${SEED})`, () => {
  const random = randomOf(SEED);
  const times = new Array<number>(10).fill(0);
  for (let round = 0; round < 5_000; round++) {
    const sample = sampleOf(10, 100, random);
    expect(new Set(sample).size).toBe(10);
    for (const number of sample) times[Math.floor(number / 10)] = (times[Math.floor(number / 10)] ?? 0) + 1;
  }
  // 5,000 each, with a standard deviation of about 67: ten of these are no chance.
  for (const count of times) expect(Math.abs(count - 5_000)).toBeLessThan(670);
});

it("a sample of much asks little of chance", () => {
  const random = randomOf(1);
  let asked = 0;
  sampleOf(50, 1_000_000, () => {
    asked++;
    return random();
  });
  expect(asked).toBeLessThan(5_000);
});
