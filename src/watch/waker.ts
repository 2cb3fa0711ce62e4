import type { Clock } from "../base/index.js";

/** Lets one stream sleep until something may have happened. Holds a timer and a promise only while it sleeps. */
export class Waker {
  #wake: (() => void) | undefined;

  constructor(
    readonly clock: Clock,
    readonly signal: AbortSignal,
  ) {}

  /** Resolves when woken, when `signal` aborts, or after `delayMs`. One sleep at a time. */
  sleep(delayMs: number): Promise<void> {
    if (this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined;
        stopTimer();
        this.signal.removeEventListener("abort", wake);
        resolve();
      };
      const stopTimer = this.clock.after(Math.max(0, delayMs), wake);
      this.signal.addEventListener("abort", wake);
      this.#wake = wake;
    });
  }

  /** Does nothing when awake: who is awake looks for news before sleeping. */
  wake(): void {
    this.#wake?.();
  }
}
