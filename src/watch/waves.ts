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
  /** Whether the next one goes before those of other sets. */
  isUrgentAgain: boolean;
}

/**
 * Tells all of a set that there is news, one slice in each turn of the event loop for all sets together. Never at once: whoever
 * made the news goes on first. What comes while a set's wave is under way is told by it to those that it has not reached, and to
 * the others by its next, which waits behind those of other sets. What is urgent waits behind nobody.
 */
export class Waves {
  /** First come, first told. */
  readonly #waves = new Map<ReadonlySet<Listener>, Wave>();

  start(listeners: ReadonlySet<Listener>, isUrgent = false): void {
    const wave = this.#waves.get(listeners);
    if (wave !== undefined) {
      wave.isDueAgain = true;
      wave.isUrgentAgain ||= isUrgent;
      if (isUrgent) this.#putFirst(listeners, wave);
    } else if (listeners.size > 0) {
      if (this.#waves.size === 0) setImmediate(this.#tell);
      this.#begin(listeners, isUrgent);
    }
  }

  #begin(listeners: ReadonlySet<Listener>, isUrgent: boolean): void {
    const wave = { rest: listeners.values(), left: listeners.size, isDueAgain: false, isUrgentAgain: false };
    if (isUrgent) this.#putFirst(listeners, wave);
    else this.#waves.set(listeners, wave);
  }

  #putFirst(listeners: ReadonlySet<Listener>, wave: Wave): void {
    const others = [...this.#waves].filter(([set]) => set !== listeners);
    this.#waves.clear();
    for (const [set, one] of [[listeners, wave] as const, ...others]) this.#waves.set(set, one);
  }

  readonly #tell = (): void => {
    let turns = SLICE;
    // Whichever is first, each time: one may be put before the others meanwhile.
    for (let [first] = this.#waves; first !== undefined && turns > 0; [first] = this.#waves) {
      const [listeners, wave] = first;
      turns = tellSome(wave, turns);
      if (turns === 0) break;
      this.#waves.delete(listeners);
      if (wave.isDueAgain && listeners.size > 0) this.#begin(listeners, wave.isUrgentAgain);
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
