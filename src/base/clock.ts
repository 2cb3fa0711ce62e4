/** Stops a timer. Calling it again, or after the timer fired, does nothing. */
export type StopTimer = () => void;

/** Time as a parameter, so that tests and simulations can drive it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back. */
  monotonicMs(): number;
  /**
   * Calls `action` once, after `delayMs` milliseconds. A timer never keeps the process alive:
   * what must stay up holds a socket, and a mirror must not hold anything.
   */
  after(delayMs: number, action: () => void): StopTimer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};
