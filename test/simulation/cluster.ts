import { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { LogStore } from "../../src/store/log-store.js";
import { resolveBounds } from "../../src/store/store-options.js";
import type { Chance } from "./chance.js";
import { laggingStore } from "./lagging-store.js";
import type { Plan } from "./plan.js";
import type { SimulatedClock } from "./simulated-clock.js";
import type { SimulatedDisk } from "./simulated-disk.js";
import { SimulatedWorker } from "./simulated-worker.js";

/** What a cluster works with. */
export interface ClusterParts {
  readonly plan: Plan;
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly disk: SimulatedDisk;
  readonly tell: (text: string) => void;
  readonly violated: (message: string) => void;
}

/** The server: workers on one store on one disk. Whatever ends comes back after a while. */
export class Cluster {
  readonly #parts: ClusterParts;
  readonly #workers: (SimulatedWorker | undefined)[];
  #store: LogStore | undefined;
  #incarnations = 0;
  #isOver = false;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    this.#workers = Array.from({ length: parts.plan.workers }, () => undefined);
  }

  /** Those that answer. */
  get workers(): readonly SimulatedWorker[] {
    return this.#workers.filter((worker) => worker !== undefined);
  }

  get isUp(): boolean {
    return this.#store !== undefined;
  }

  start(): void {
    if (this.#isOver || this.#store !== undefined) return;
    const { plan, disk, clock, chance, tell } = this.#parts;
    const store = new LogStore(disk.mount(), {
      ...resolveBounds(plan.store),
      minFreeBytes: 1,
      readOnly: false,
      clock,
      release: async () => undefined,
    });
    this.#store = store;
    tell(`the server starts at revision ${store.edges().newest} of epoch ${store.epoch}`);
    void store.failed.then(({ message }) => {
      if (this.#store !== store) return;
      tell(`the store has failed: ${message}`);
      // Calls may still be answered until the process has ended.
      clock.after(chance.pick([0, 20]), () => {
        if (this.#store === store) this.crash();
      });
    });
    for (const index of this.#workers.keys()) void this.#startWorker(index, store);
  }

  /** All processes are killed. */
  crash(): void {
    this.#parts.tell("the server is killed");
    this.#parts.disk.unplug();
    this.#store = undefined;
    for (const worker of this.workers) this.#forget(worker, "killed");
    this.#comeBack(() => this.start());
  }

  /** All processes drain and end. */
  stop(): void {
    const store = this.#store;
    if (store === undefined) return;
    this.#parts.tell("the server stops");
    this.#store = undefined;
    const stopped = this.workers.map((worker) => this.#forget(worker, "stopped"));
    void Promise.all(stopped).then(() => store.close());
    this.#comeBack(() => this.start());
  }

  crashWorker(worker: SimulatedWorker): void {
    this.#parts.tell(`${worker.name} is killed`);
    this.#forget(worker, "killed");
    this.#replace(worker);
  }

  stopWorker(worker: SimulatedWorker): void {
    this.#parts.tell(`${worker.name} stops`);
    void this.#forget(worker, "stopped");
    this.#replace(worker);
  }

  /** For good. */
  async end(): Promise<void> {
    this.#isOver = true;
    const store = this.#store;
    this.#store = undefined;
    await Promise.all(this.workers.map((worker) => this.#forget(worker, "stopped")));
    await store?.close();
  }

  #replace(worker: SimulatedWorker): void {
    const store = this.#store;
    this.#comeBack(() => {
      if (store !== undefined && this.#store === store) void this.#startWorker(worker.index, store);
    });
  }

  #comeBack(action: () => void): void {
    const { clock, chance } = this.#parts;
    clock.after(chance.pick([0, 10, 300]), action);
  }

  async #startWorker(index: number, store: LogStore): Promise<void> {
    try {
      await this.#openWorker(index, store);
    } catch (error) {
      // Where the server has gone meanwhile, nobody minds.
      if (this.#store === store) this.#parts.violated(`worker ${index} cannot start: ${String(error)}`);
    }
  }

  async #openWorker(index: number, store: LogStore): Promise<void> {
    const { plan, clock, chance, tell } = this.#parts;
    const name = `worker ${index}.${++this.#incarnations}`;
    const followed = laggingStore(store, plan.maxLagMs, clock, chance.fork());
    const worker = await SimulatedWorker.open({
      name,
      index,
      store: followed,
      limits: plan.watch,
      clock,
      random: chance.fork(),
    });
    if (this.#store !== store || this.#isOver) {
      void worker.end("killed");
      return;
    }
    this.#workers[index] = worker;
    tell(`${name} serves from revision ${worker.head.revision}`);
    void worker.head.failed.then(({ message }) => {
      if (this.#workers[index] !== worker) return;
      tell(`${name} has failed: ${message}`);
      this.crashWorker(worker);
    });
  }

  #forget(worker: SimulatedWorker, how: "killed" | "stopped"): Promise<void> {
    this.#workers[worker.index] = undefined;
    if (how === "stopped") worker.hub.goodbye(GoodbyeReason.SHUTDOWN, 50);
    return worker.end(how);
  }
}
