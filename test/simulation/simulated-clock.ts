import { VirtualClock } from "../support/virtual-clock.js";

/**
 * Promises run before an immediate, and nothing in a simulation waits for anything else; but the store lets others on for a
 * turn of the event loop when it has read much. So there are two.
 */
const TURNS = 2;

/** A clock that stands still until it is advanced. Its time of day may be made to jump. */
export class SimulatedClock extends VirtualClock {
  #offsetMs = 0;
  #stamps = 0;

  constructor() {
    super(undefined, TURNS);
  }

  override now(): number {
    return Math.floor(super.now() + this.#offsetMs);
  }

  /** The time for the records: it tells before from after even where no time has passed. */
  stamp(): number {
    return this.monotonicMs() + ++this.#stamps / 2 ** 24;
  }

  /** Moves the time of day only. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }
}
