import type { Clock } from "../../base/index.js";

/** A call that is to be answered by a time. */
export interface DueCall {
  /** On the clock's time, in milliseconds. */
  readonly deadlineMs: number;
  /** Starts the timer of a call that is not over yet. */
  startTimer(): void;
}

/**
 * Deadlines of new calls. Most are answered in the turn of the event loop that they came in, so timers are started for those
 * only that are left when it ends: by one look at all of them.
 */
export class DeadlineQueue {
  readonly #clock: Clock;
  #calls: DueCall[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  add(call: DueCall): void {
    if (this.#calls.push(call) === 1) setImmediate(this.#startTimers);
  }

  readonly #startTimers = (): void => {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call.startTimer();
  };
}
