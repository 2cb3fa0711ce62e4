import { setMaxListeners } from "node:events";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { Admin } from "../../src/server/admin/admin.js";
import { environmentHandlers } from "../../src/server/admin/environments.js";
import { flagHandlers } from "../../src/server/admin/flags.js";
import { importHandler } from "../../src/server/admin/import.js";
import { segmentKeysHandler } from "../../src/server/admin/segment-keys.js";
import { segmentHandlers } from "../../src/server/admin/segments.js";
import { targetingHandlers } from "../../src/server/admin/targetings.js";
import { Writer } from "../../src/server/admin/writer.js";
import { noContexts } from "../../src/server/contexts/kept-contexts.js";
import type { ServiceHandlers } from "../../src/server/handlers.js";
import { Head } from "../../src/server/state/head.js";
import type { Store } from "../../src/store/index.js";
import { createWatchHub, type WatchHub, type WatchLimits } from "../../src/watch/index.js";
import type { Chance } from "./chance.js";
import type { SimulatedClock } from "./simulated-clock.js";

/** What a worker works with. */
export interface WorkerParts {
  /** Of this incarnation. */
  readonly name: string;
  readonly index: number;
  readonly store: Store;
  readonly limits: WatchLimits;
  readonly clock: SimulatedClock;
  readonly random: Chance;
}

/** The methods that change something. */
export type Writes = Pick<
  ServiceHandlers<typeof AdminService>,
  | "createFlag"
  | "updateFlag"
  | "deleteFlag"
  | "updateTargeting"
  | "killFlags"
  | "reviveFlags"
  | "createSegment"
  | "updateSegment"
  | "changeSegmentKeys"
  | "deleteSegment"
  | "createEnvironment"
  | "deleteEnvironment"
  | "import"
>;

/** One process of the server, without its sockets. */
export class SimulatedWorker {
  readonly name: string;
  readonly index: number;
  readonly writes: Writes;
  /** Aborts when the process is gone: connections break, and calls are never answered. */
  readonly gone: AbortSignal;
  readonly #gone = new AbortController();

  private constructor(
    { name, index, clock }: WorkerParts,
    readonly hub: WatchHub,
    readonly head: Head,
  ) {
    this.name = name;
    this.index = index;
    this.gone = this.#gone.signal;
    // One for each stream and call.
    setMaxListeners(0, this.gone);
    const turns = { clock, turnMs: 10, next: () => new Promise(setImmediate) };
    const admin: Admin = { head, writer: new Writer(head, clock, turns), contexts: noContexts };
    this.writes = {
      ...flagHandlers(admin),
      ...targetingHandlers(admin),
      ...segmentHandlers(admin),
      changeSegmentKeys: segmentKeysHandler(admin),
      ...environmentHandlers(admin),
      import: importHandler(admin),
    };
  }

  static async open(parts: WorkerParts): Promise<SimulatedWorker> {
    const { clock, random, limits, store } = parts;
    const hub = createWatchHub({ ...limits, clock, random: () => random.number() });
    return new SimulatedWorker(parts, hub, await Head.open(store, hub));
  }

  async end(how: "killed" | "stopped"): Promise<void> {
    // Streams are given the time to say goodbye.
    if (how === "stopped") await new Promise(setImmediate);
    this.#gone.abort();
    await this.head.close();
  }
}
