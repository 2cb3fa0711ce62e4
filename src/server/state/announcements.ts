/** How many listeners are told in one turn of the event loop: what each does with it takes time of everybody. */
const SLICE = 64;

/**
 * Tells listeners that there is something new, never in the turn in which it came about. Nothing is queued: who is told once
 * of two things looks once, and sees both.
 */
export class Announcements {
  readonly #listeners = new Set<() => void>();
  #waiting: Iterator<() => void> | undefined;
  #isAnew = false;
  #ended = false;

  /** Nothing will be new any more: listeners should end. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Calls `listener`, which must not throw, after every announcement, until the function returned is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(): void {
    if (this.#waiting !== undefined) this.#isAnew = true;
    else if (this.#listeners.size > 0) this.#begin();
  }

  /** Tells that this is the end. */
  end(): void {
    this.#ended = true;
    this.announce();
  }

  #begin(): void {
    // Those who come meanwhile see what is new by themselves.
    this.#waiting = [...this.#listeners].values();
    setImmediate(this.#tellSome);
  }

  readonly #tellSome = (): void => {
    for (let told = 0; told < SLICE; told++) {
      const next = this.#waiting?.next();
      if (next === undefined || next.done) {
        this.#finish();
        return;
      }
      if (this.#listeners.has(next.value)) next.value();
    }
    setImmediate(this.#tellSome);
  };

  #finish(): void {
    this.#waiting = undefined;
    if (!this.#isAnew) return;
    this.#isAnew = false;
    this.#begin();
  }
}
