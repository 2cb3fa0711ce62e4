import type { Clock } from "../../base/index.js";
import type { CommitResult, Store } from "../../store/index.js";
import { Durations } from "./durations.js";
import { intercept } from "./intercept.js";
import { toFamily, toLabelled } from "./metric-definitions.js";
import type { MetricFamily } from "./metric-report.js";

/** Counts the commits of a store. */
export class StoreMeter {
  readonly #clock: Clock;
  readonly #results = new Map<CommitResult["kind"] | "failed", number>();
  readonly #durations = new Durations();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same store, counted. */
  wrap(store: Store): Store {
    return intercept(store, "commit", async (transaction) => {
      const startedMs = this.#clock.monotonicMs();
      let kind: CommitResult["kind"] | "failed" = "failed";
      try {
        const result = await store.commit(transaction);
        kind = result.kind;
        return result;
      } finally {
        this.#results.set(kind, (this.#results.get(kind) ?? 0) + 1);
        this.#durations.add(this.#clock.monotonicMs() - startedMs);
      }
    });
  }

  families(): MetricFamily[] {
    const duration = "flagwire_store_commit_duration_seconds";
    return [
      toLabelled("flagwire_store_commits_total", "result", this.#results),
      toFamily(duration, this.#durations.samples(duration, {})),
    ];
  }
}
