import type { Clock } from "../base/index.js";

/** How long to wait for somebody else's promise. */
export interface Patience {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Settles as `promise` does, or rejects after `timeoutMs` or when `signal` aborts. What then still becomes of the promise is
 * ignored.
 */
export async function within<T>(promise: Promise<T>, { clock, timeoutMs, signal }: Patience): Promise<T> {
  let letGo = (): void => {};
  const givenUp = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(new Error("it was given up"));
    const stopTimer = clock.after(timeoutMs, () => reject(new Error(`it took longer than ${timeoutMs / 1000} s`)));
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    letGo = () => {
      stopTimer();
      signal?.removeEventListener("abort", abort);
    };
  });
  try {
    return await Promise.race([promise, givenUp]);
  } finally {
    letGo();
  }
}
