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

interface Wave {
  readonly rest: Iterator<Listener>;
  /** How many may still have to be told. Whoever comes after it began knows the news: a wave ends, however many come. */
  left: number;
  isDueAgain: boolean;
}

/**
 * Tells all of a set that there is news, one slice in each turn of the event loop for all sets together. Never at once: whoever
 * made the news goes on first. What comes while a set's wave is under way is told by it to those that it has not reached, and to
 * the others by its next, which waits behind those of other sets.
 */
export class Waves {
  /** First come, first told. */
  readonly #waves = new Map<ReadonlySet<Listener>, Wave>();

  start(listeners: ReadonlySet<Listener>): void {
    const wave = this.#waves.get(listeners);
    if (wave !== undefined) wave.isDueAgain = true;
    else if (listeners.size > 0) {
      if (this.#waves.size === 0) setImmediate(this.#tell);
      this.#waves.set(listeners, { rest: listeners.values(), left: listeners.size, isDueAgain: false });
    }
  }

  readonly #tell = (): void => {
    let turns = SLICE;
    for (const [listeners, wave] of this.#waves) {
      turns = tellSome(wave, turns);
      if (turns === 0) break;
      this.#waves.delete(listeners);
      if (wave.isDueAgain && listeners.size > 0) {
        this.#waves.set(listeners, { rest: listeners.values(), left: listeners.size, isDueAgain: false });
      }
    }
    if (this.#waves.size > 0) setImmediate(this.#tell);
  };
}

/** Gives how many more may be told in this turn: none where the wave is not over. */
function tellSome(wave: Wave, turns: number): number {
  for (let left = turns; left > 0; left--) {
    const next = wave.left-- > 0 ? wave.rest.next() : undefined;
    if (next === undefined || next.done === true) return left;
    next.value.wake();
  }
  return 0;
}
