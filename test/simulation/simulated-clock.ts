import type { Clock, StopTimer } from "../../src/base/index.js";

interface Timer {
  readonly atMs: number;
  readonly action: () => void;
}

/** A clock that stands still until it is advanced. Its time of day may be made to jump. */
export class SimulatedClock implements Clock {
  #elapsedMs = 0;
  #offsetMs = Date.UTC(2026, 0, 1);
  #stamps = 0;
  readonly #timers = new Set<Timer>();

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return Math.floor(this.#offsetMs + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** The time for the records: it tells before from after even where no time has passed. */
  stamp(): number {
    return this.#elapsedMs + ++this.#stamps / 2 ** 24;
  }

  /** Moves the time of day only. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  after(delayMs: number, action: () => void): StopTimer {
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Lets time pass: fires what is due, in order, each after everything that the one before set off has settled. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms;
    await settle();
    for (let timer = this.#next(untilMs); timer !== undefined; timer = this.#next(untilMs)) {
      this.#timers.delete(timer);
      this.#elapsedMs = timer.atMs;
      timer.action();
      await settle();
    }
    this.#elapsedMs = untilMs;
  }

  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
    }
    return next;
  }
}

/**
 * Promises run before an immediate, and nothing in a simulation waits for anything else; but the store lets others on for a
 * turn of the event loop when it has worked for long, as it may seem to on a busy machine. So there are two turns.
 */
async function settle(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}
