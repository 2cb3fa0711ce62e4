import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import type { Store } from "../../src/store/index.js";
import type { Chance } from "./chance.js";
import type { SimulatedClock } from "./simulated-clock.js";

/** A store as a process sees it that learns late of what is committed, and so is behind others. */
export function laggingStore(store: Store, maxLagMs: number, clock: SimulatedClock, chance: Chance): Store {
  if (maxLagMs === 0) return store;
  async function* tail(revision: bigint, signal: AbortSignal): AsyncGenerator<HistoryEntry, void, undefined> {
    for await (const entry of store.tail(revision, signal)) {
      if (chance.is(0.7)) await clock.sleep(chance.integer(0, maxLagMs));
      if (signal.aborted) return;
      yield entry;
    }
  }
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "tail") return tail;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
