import fc from "fast-check";
import { expect, test } from "vitest";
import { openMemoryStore, type Store } from "../../src/store/index.js";
import { runs } from "../engine/arbitrary-words.js";
import { booleanFlag, serve } from "./admin-support.js";
import { HOUR, JumpingClock, type RampServer, servedBy, serveStore, steps, stepsOf } from "./ramps-support.js";

type Action =
  | { readonly kind: "wait" | "downtime"; readonly hours: number }
  | { readonly kind: "pause" | "resume" | "kill" | "revive" | "restart" };

const someAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait"), hours: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("downtime"), hours: fc.integer({ min: 1, max: 50 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("pause", "resume", "kill", "revive", "restart") }),
  },
) as fc.Arbitrary<Action>;

const HOURS = [7, 13, 24, 5];
const SERVED = ["1% on, 99% off", "2% on, 98% off", "10% on, 90% off", "50% on, 50% off", "on"];

/** What a ramp should do, counted in whole hours. */
class Model {
  step = 0;
  left = HOURS[0] ?? 0;
  isPaused = false;
  isKilled = false;

  get isOver(): boolean {
    return this.step === HOURS.length;
  }

  /** Time passes while somebody carries out steps. */
  wait(hours: number): void {
    for (let rest = hours; this.#runs; ) {
      if (this.left > rest) {
        this.left -= rest;
        return;
      }
      rest -= this.left;
      this.step++;
      this.left = HOURS[this.step] ?? 0;
    }
  }

  /** Time passes, and nobody is there. */
  miss(hours: number): void {
    if (this.#runs) this.left = Math.max(0, this.left - hours);
  }

  get #runs(): boolean {
    return !this.isPaused && !this.isKilled && !this.isOver;
  }
}

/** Two servers on one store, and what is done to the ramp of a flag. */
class World {
  readonly clock = new JumpingClock();
  readonly model = new Model();
  #servers: RampServer[] = [];

  constructor(readonly store: Store) {}

  get server(): RampServer {
    const [first] = this.#servers;
    if (first === undefined) throw new Error("no server");
    return first;
  }

  async open(): Promise<void> {
    this.#servers = [await serveStore(this.store, this.clock), await serveStore(this.store, this.clock)];
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.stop();
  }

  async begin(): Promise<void> {
    await this.open();
    const targeting = { enabled: true, default: serve("off") };
    await this.server.admin.createFlag({ flag: booleanFlag("a"), targeting });
    const [one = 0, two = 0, three = 0, four = 0] = HOURS.map((hours) => hours * HOUR);
    await this.server.admin.startRamp({
      flagKey: "a",
      steps: steps([1, one], [2, two], [10, three], [50, four], [100]),
    });
  }

  async act(action: Action): Promise<void> {
    const { model, clock } = this;
    switch (action.kind) {
      case "wait":
        model.wait(action.hours);
        return clock.advance(action.hours * HOUR);
      case "downtime":
        await this.stop();
        model.miss(action.hours);
        await clock.advance(action.hours * HOUR);
        await this.open();
        model.wait(0);
        return clock.advance(0);
      case "restart":
        await this.stop();
        return this.open();
      case "pause":
        if (!model.isOver) await this.server.admin.pauseRamp({ flagKey: "a" });
        model.isPaused = true;
        return;
      case "resume":
        if (!model.isOver) await this.server.admin.resumeRamp({ flagKey: "a" });
        model.isPaused = false;
        break;
      case "kill":
        await this.server.admin.killFlags({ flagKeys: ["a"], reason: "x" });
        model.isKilled = true;
        return;
      case "revive":
        await this.server.admin.reviveFlags({ flagKeys: ["a"] });
        model.isKilled = false;
        break;
    }
    model.wait(0);
    await clock.advance(0);
  }
}

test("a ramp takes each step once, at its time, whatever is done to it and to the servers", async () => {
  const property = fc.asyncProperty(fc.array(someAction, { minLength: 5, maxLength: 20 }), async (actions) => {
    const store = await openMemoryStore();
    const world = new World(store);
    try {
      await world.begin();
      for (const action of actions) {
        await world.act(action);
        expect(await servedBy(world.server)).toBe(SERVED[world.model.step]);
        expect(await stepsOf(world.server)).toHaveLength(world.model.step);
      }
    } finally {
      await world.stop();
      await store.close();
    }
  });
  await fc.assert(property, runs(10));
});
