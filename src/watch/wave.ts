/** Somebody who may wait for news. */
export interface Listener {
  /** Tells it of news, if it waits for them. Must not throw. */
  wake(): void;
}

/**
 * How many are told before others have their turn: a thousandth of a second or two of writing, so that whoever evaluates
 * meanwhile hardly notices. A count and no time, because what the writing sets off is paid for after it.
 */
const SLICE = 128;

/**
 * Tells all of a set that there is news, a slice in each turn of the event loop. Never at once: whoever made the news goes on
 * first. What comes while a wave is under way is told by it to those that it has not reached, and to the others by the next.
 */
export class Wave {
  readonly #listeners: ReadonlySet<Listener>;
  /** Those still to be told in this wave; undefined when there is none. */
  #rest: Iterator<Listener> | undefined;
  #isDueAgain = false;

  constructor(listeners: ReadonlySet<Listener>) {
    this.#listeners = listeners;
  }

  start(): void {
    if (this.#rest !== undefined) {
      this.#isDueAgain = true;
      return;
    }
    if (this.#listeners.size === 0) return;
    this.#rest = this.#listeners.values();
    setImmediate(this.#tell);
  }

  readonly #tell = (): void => {
    const rest = this.#rest;
    if (rest === undefined) return;
    for (let told = 0; told < SLICE; told++) {
      const next = rest.next();
      if (next.done === true) {
        this.#finish();
        return;
      }
      next.value.wake();
    }
    setImmediate(this.#tell);
  };

  #finish(): void {
    this.#rest = undefined;
    if (!this.#isDueAgain) return;
    this.#isDueAgain = false;
    this.start();
  }
}
