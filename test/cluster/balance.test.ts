import { describe, expect, it } from "vitest";
import { Evener, weight } from "../../src/cluster/balance.js";

const load = { connections: 0, watchers: 0, onTheWay: 0 };

describe("the weight of a worker", () => {
  it("is its connections, those on the way too, or its streams where those are more", () => {
    expect(weight({ ...load, connections: 3, watchers: 3, onTheWay: 2 })).toBe(5);
    expect(weight({ connections: 1, watchers: 100, onTheWay: 1 })).toBe(101);
  });
});

/** Asks every second; whoever is recycled comes back to the worker with the fewest, unless it `stays`. */
function evenOut(watchers: Map<number, number>, seconds: number, stays = false): number {
  const evener = new Evener();
  let asked = 0;
  for (let second = 0; second < seconds; second++) {
    for (const [number, count] of evener.next(watchers, second * 1_000)) {
      asked += count;
      for (let left = stays ? 0 : count; left > 0; left--) {
        const [fewest = number] = [...watchers].sort(([, a], [, b]) => a - b).map(([other]) => other);
        watchers.set(number, (watchers.get(number) ?? 0) - 1);
        watchers.set(fewest, (watchers.get(fewest) ?? 0) + 1);
      }
    }
  }
  return asked;
}

const places = (...counts: number[]) => new Map(counts.map((count, index) => [index + 1, count]));

describe("streams on workers", () => {
  it("stay where they are while they are about even, or few", () => {
    expect(evenOut(places(110, 95, 95), 60)).toBe(0);
    expect(evenOut(places(10, 0, 0), 60)).toBe(0);
  });

  it("come to be even, each moved once, over some seconds", () => {
    const watchers = places(5_000, 5_000, 0);
    const evener = new Evener();
    expect(Math.max(...evener.next(watchers, 0).values())).toBeLessThan(500);
    expect(evenOut(watchers, 60)).toBeLessThan(3_400);
    for (const count of watchers.values()) expect(Math.abs(count - 10_000 / 3)).toBeLessThan(3);
  });

  it("are left alone for longer and longer where their clients come back to the same worker", () => {
    const [minute, hour] = [evenOut(places(100, 0), 60, true), evenOut(places(100, 0), 3_600, true)];
    expect(minute).toBeGreaterThan(0);
    expect(hour).toBeLessThan(8 * minute);
  });
});
