import type { Clock, StopTimer } from "../base/index.js";
import { SILENT_MS } from "./silence.js";

/** A worker that takes connections. */
export interface Showing {
  /** The revision that it answers with, or an earlier one. */
  readonly revision: bigint;
  /** How long it has said nothing. */
  silentMs(nowMs: number): number;
}

/** How much later than the first of them a worker may show a revision before it is left out. */
const MAX_LAG_MS = 1_000;

/** Somebody who waits for a revision to be seen by all. */
interface Wait {
  readonly revision: bigint;
  readonly resolve: () => void;
  /** Of the time that is left, since a worker shows it. */
  stopTimer: StopTimer | undefined;
}

/**
 * What can be seen at which worker: a write is answered once all show it. One that is silent is left out, and so is one that
 * shows a revision a second later than the first: until it shows that. Time runs from the first only, so that a change which
 * takes long to apply takes its time.
 */
export class Visibility<Worker extends Showing> {
  readonly #clock: Clock;
  readonly #onLeftOut: (worker: Worker) => void;
  readonly #workers = new Set<Worker>();
  /** Who is left out, and what it did not show in time. */
  readonly #behind = new Map<Worker, bigint>();
  readonly #waits = new Set<Wait>();

  constructor(clock: Clock, onLeftOut: (worker: Worker) => void) {
    this.#clock = clock;
    this.#onLeftOut = onLeftOut;
  }

  /** Resolves when all show a revision that is durable, but for those that are left out. */
  seenByAll(revision: bigint): Promise<void> {
    return new Promise((resolve) => {
      this.#waits.add({ revision, resolve, stopTimer: undefined });
      this.#look();
    });
  }

  /** A worker has opened, or shows a later revision. */
  moved(worker: Worker): void {
    this.#workers.add(worker);
    const missed = this.#behind.get(worker);
    if (missed !== undefined && worker.revision >= missed) this.#behind.delete(worker);
    this.#look();
  }

  /** A worker has ended. */
  forget(worker: Worker): void {
    this.#workers.delete(worker);
    this.#behind.delete(worker);
    this.#look();
  }

  #look(): void {
    if (this.#waits.size === 0) return;
    const nowMs = this.#clock.monotonicMs();
    let first: bigint | undefined;
    let last: bigint | undefined;
    for (const worker of this.#workers) {
      const { revision } = worker;
      if (first === undefined || revision > first) first = revision;
      if (this.#behind.has(worker) || worker.silentMs(nowMs) > SILENT_MS) continue;
      if (last === undefined || revision < last) last = revision;
    }
    for (const wait of this.#waits) {
      if (last === undefined || last >= wait.revision) this.#end(wait);
      else if (first !== undefined && first >= wait.revision) wait.stopTimer ??= this.#limit(wait.revision);
    }
  }

  #limit(revision: bigint): StopTimer {
    // Where this process was busy itself, what they have said since waits to be heard.
    return this.#clock.after(MAX_LAG_MS, () => setImmediate(() => this.#leaveOut(revision)));
  }

  #leaveOut(revision: bigint): void {
    for (const worker of this.#workers) {
      if (worker.revision >= revision || this.#behind.has(worker)) continue;
      this.#behind.set(worker, revision);
      this.#onLeftOut(worker);
    }
    this.#look();
  }

  #end(wait: Wait): void {
    this.#waits.delete(wait);
    wait.stopTimer?.();
    wait.resolve();
  }
}
