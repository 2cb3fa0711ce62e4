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
    let timer: ReturnType<typeof setTimeout>;
    const arm = (leftMs: number) => {
      const partMs = Math.min(leftMs, MAX_TIMER_MS);
      timer = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : action()), partMs);
      timer.unref?.();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};

/** The runtime takes a longer delay for none at all. */
const MAX_TIMER_MS = 2 ** 31 - 1;
