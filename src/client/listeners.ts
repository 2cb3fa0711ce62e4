/** Stops a listener. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** Listeners by event. One that throws disturbs neither the caller nor the others. */
export class Listeners<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<{ readonly call: (payload: never) => void }>>();
  readonly #thrown: (event: keyof Events, error: unknown) => void;

  /** `thrown` is told what a listener threw. */
  constructor(thrown: (event: keyof Events, error: unknown) => void) {
    this.#thrown = thrown;
  }

  /** The same function may listen twice, and is then called twice. */
  on<E extends keyof Events>(event: E, listener: (payload: Events[E]) => void): Unsubscribe {
    const registered = this.#listeners.get(event) ?? new Set();
    const entry = { call: listener };
    registered.add(entry);
    this.#listeners.set(event, registered);
    return () => registered.delete(entry);
  }

  emit<E extends keyof Events>(event: E, payload: Events[E]): void {
    const registered = this.#listeners.get(event);
    if (registered === undefined) return;
    for (const entry of [...registered]) {
      // One before it may have taken it off.
      if (!registered.has(entry)) continue;
      try {
        (entry.call as (payload: Events[E]) => void)(payload);
      } catch (error) {
        this.#thrown(event, error);
      }
    }
  }

  clear(): void {
    for (const registered of this.#listeners.values()) registered.clear();
    this.#listeners.clear();
  }
}
