import type { Clock } from "../../base/index.js";

/** A call that is to be over by some time. */
export interface DueCall {
  /** Starts the timer of a call that is not over yet. Called once for each time that it was added. */
  startTimer(): void;
}

/**
 * Calls that are bounded in time. Most are answered in the turn of the event loop that they came in, and their streams are
 * closed in the next, so timers are started for those only that are left after two: by one look at all of them.
 */
export class DeadlineQueue {
  readonly #clock: Clock;
  #added: DueCall[] = [];
  /** Those added a turn before. */
  #due: DueCall[] = [];
  #isLooking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  add(call: DueCall): void {
    this.#added.push(call);
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(this.#look);
  }

  readonly #look = (): void => {
    const due = this.#due;
    this.#due = this.#added;
    this.#added = [];
    this.#isLooking = this.#due.length > 0;
    if (this.#isLooking) setImmediate(this.#look);
    for (const call of due) call.startTimer();
  };
}
