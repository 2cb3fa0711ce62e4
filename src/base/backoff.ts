import type { Random } from "./random.js";

/** Bounds of a backoff, in milliseconds. */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * Full-jitter exponential backoff: the n-th delay (from 0) is uniform between `minMs` and the smaller of `maxMs` and
 * `minMs * 2^(n+1)`. The floor keeps a herd from reconnecting at once.
 *
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffDelayMs(attempt: number, options: BackoffOptions, random: Random): number {
  const ceiling = Math.min(options.maxMs, options.minMs * 2 ** Math.min(attempt + 1, 30));
  return options.minMs + random() * Math.max(0, ceiling - options.minMs);
}
