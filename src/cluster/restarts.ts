import { type BackoffOptions, backoffDelayMs, type Random } from "../base/index.js";

const BACKOFF: BackoffOptions = { minMs: 100, maxMs: 10_000 };
/** A worker that served this long was sound: the next one is started as if nothing had happened. */
const SOUND_AFTER_MS = 10_000;
/** So many ends in a row before a worker was ready, and the service gives up. */
const MAX_EARLY_ENDS = 5;

/** What to do after a worker has ended. */
export type Restart = { readonly kind: "after"; readonly delayMs: number } | { readonly kind: "give-up" };

/** When a worker is replaced: at once after the first end, then after longer and longer pauses. */
export class Restarts {
  readonly #random: Random;
  #ends = 0;
  #earlyEnds = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** `servedMs`: how long it was ready; undefined if it never was. */
  next(servedMs: number | undefined): Restart {
    if (servedMs !== undefined) this.#earlyEnds = 0;
    else if (++this.#earlyEnds >= MAX_EARLY_ENDS) return { kind: "give-up" };
    if (servedMs !== undefined && servedMs >= SOUND_AFTER_MS) this.#ends = 0;
    const ends = this.#ends++;
    return { kind: "after", delayMs: ends === 0 ? 0 : backoffDelayMs(ends - 1, BACKOFF, this.#random) };
  }
}
