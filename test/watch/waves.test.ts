import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Waves } from "../../src/watch/waves.js";

/** Sets of listeners that note by whose name they were woken. */
function openWaves() {
  const waves = new Waves();
  const woken: string[] = [];
  const setOf = (name: string, count: number) =>
    new Set(Array.from({ length: count }, () => ({ wake: () => void woken.push(name) })));
  const settle = async () => {
    for (let before = -1; before !== woken.length; ) {
      before = woken.length;
      await nextTurn();
      await nextTurn();
    }
  };
  /** Whose turn it was, without repetitions. */
  const order = () => woken.filter((name, index) => name !== woken[index - 1]);
  return { waves, woken, setOf, settle, order };
}

describe("waves of news", () => {
  it("come in the order of the news", async () => {
    const { waves, setOf, settle, order } = openWaves();
    for (const name of ["a", "b", "c"]) waves.start(setOf(name, 300));
    await settle();
    expect(order()).toEqual(["a", "b", "c"]);
  });

  it("come first where they are urgent, also before one that is under way", async () => {
    const { waves, woken, setOf, settle, order } = openWaves();
    waves.start(setOf("a", 1_000));
    waves.start(setOf("b", 300));
    await nextTurn();
    const told = woken.length;
    expect(told).toBeGreaterThan(0);
    waves.start(setOf("kill", 300), true);
    await settle();
    expect(order()).toEqual(["a", "kill", "a", "b"]);
    expect(woken.slice(told, told + 300)).toEqual(Array(300).fill("kill"));
    expect(woken).toHaveLength(1_600);
  });

  it("that are urgent reach those who were told of something else just before, too, before others", async () => {
    const { waves, woken, setOf, settle, order } = openWaves();
    const own = setOf("own", 200);
    waves.start(own);
    waves.start(setOf("other", 300));
    await nextTurn();
    waves.start(own, true);
    await settle();
    expect(order()).toEqual(["own", "other"]);
    // 128 had been told before, and are told again; the others hear of both at once, and once more.
    expect(woken.filter((name) => name === "own")).toHaveLength(400);
  });

  it("end, whatever comes while they are told", async () => {
    const { waves, woken, setOf, settle } = openWaves();
    const listeners = setOf("a", 300);
    waves.start(listeners);
    await nextTurn();
    for (let n = 0; n < 10; n++) listeners.add({ wake: () => void woken.push("late") });
    await settle();
    expect(woken.filter((name) => name === "a")).toHaveLength(300);
  });
});
