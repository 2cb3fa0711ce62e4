import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock, StopTimer } from "../../base/index.js";
import type { Context, CountedOutcome, Snapshot, Tally } from "../../engine/index.js";
import type { Head } from "../state/head.js";
import type { AnswerObserver } from "./answer-observer.js";
import { settingsRevisionAt } from "./settings-revision.js";
import type { ReportedCount, UsageLedger } from "./usage-ledger.js";

/** What answers were counted in since the last time. */
interface Touched {
  readonly environment: string;
  readonly flagKey: string;
  readonly tally: Tally;
  /** Of the first answer. */
  readonly revision: bigint;
}

/** How long a count is in a tally alone, about. */
const TELL_INTERVAL_MS = 4_000;
/** In one report, so that a process with many flags answers calls between two. */
const MAX_COUNTS = 1_000;

export interface ServedCountsParts {
  readonly head: Pick<Head, "snapshot" | "catalog" | "formerRevisions">;
  readonly usage: UsageLedger;
  readonly clock: Clock;
  /** Who else is told of answers. Default: nobody. */
  readonly observers?: readonly AnswerObserver[];
}

/**
 * The answers that this process gives, by flag and variant. An answer costs the increment of its tally; the first one after the
 * tallies were told also notes where it stands. So nothing is looked through that was not asked for, and it does not matter how
 * often a flag was replaced meanwhile, or who still holds the one before.
 */
export class ServedCounts {
  readonly #parts: ServedCountsParts;
  readonly #observers: readonly AnswerObserver[];
  #touched: Touched[] = [];
  #stopTimer: StopTimer | undefined;
  #telling: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: ServedCountsParts) {
    this.#parts = parts;
    this.#observers = parts.observers ?? [];
  }

  add(outcome: CountedOutcome, snapshot: Snapshot, context: Context): void {
    if (outcome.tally.count++ === 0) this.#touch(outcome, snapshot);
    for (const observer of this.#observers) observer.answered(outcome, snapshot, context);
  }

  /** Tells the ledger what is left. No answer may be counted from then on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.#telling;
    await this.#tell();
  }

  #touch({ flagKey, tally }: CountedOutcome, { environment, position }: Snapshot): void {
    this.#touched.push({ environment, flagKey, tally, revision: position.revision });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopTimer !== undefined || this.#isClosed || this.#touched.length === 0) return;
    this.#stopTimer = this.#parts.clock.after(TELL_INTERVAL_MS, () => {
      this.#telling = this.#tell().then(() => {
        this.#stopTimer = undefined;
        this.#schedule();
      });
    });
  }

  /** A ledger in another process may be gone: then so is the service. */
  async #tell(): Promise<void> {
    const endMs = this.#parts.clock.now();
    const touched = this.#touched;
    this.#touched = [];
    for (let from = 0; from < touched.length; from += MAX_COUNTS) {
      if (from > 0) await nextTurn();
      for (const [environment, counts] of this.#take(touched.slice(from, from + MAX_COUNTS))) {
        await this.#parts.usage.record({ environment, reporter: undefined, endMs, counts }).catch(() => undefined);
      }
    }
  }

  #take(touched: readonly Touched[]): Map<string, ReportedCount[]> {
    const { head } = this.#parts;
    const taken = new Map<string, ReportedCount[]>();
    for (const { environment, flagKey, tally, revision } of touched) {
      const { variant = "", count } = tally;
      tally.count = 0;
      const counts = taken.get(environment) ?? [];
      const newest = this.#newestRevision(environment, flagKey, tally) ?? revision;
      const settingsRevision = settingsRevisionAt(head, environment, flagKey, newest);
      counts.push({ flagKey, variant, revision: newest, count, settingsRevision });
      taken.set(environment, counts);
    }
    return taken;
  }

  /** The head's, where the flag is still the one that answered. */
  #newestRevision(environment: string, flagKey: string, tally: Tally): bigint | undefined {
    const snapshot = this.#parts.head.snapshot(environment);
    return snapshot?.flag(flagKey)?.tallies.includes(tally) ? snapshot.position.revision : undefined;
  }
}
