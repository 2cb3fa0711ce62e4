import type { Clock, Random } from "../base/index.js";

/** Settings of a hub. */
export interface WatchHubOptions extends Partial<WatchLimits> {
  readonly clock: Clock;
  readonly random: Random;
}

/** The numbers a hub works with. */
export interface WatchLimits {
  /**
   * How many changed ids an environment remembers for watchers that are behind. Default 10,000: under 1 MB, and more
   * than a day of edits. Whoever is further behind gets everything.
   */
  readonly retainedIds: number;
  /**
   * The largest message, in bytes. Default 256 KiB, well under the promised 1 MiB: a slow line shows sooner that it is
   * alive, and a watcher that does not read holds less.
   */
  readonly maxMessageBytes: number;
  /** The time between heartbeats, give or take a quarter. Default 10 s, so that one comes every 15 s at the latest. */
  readonly heartbeatMs: number;
  /**
   * How long a position may stay unsent when a revision changed nothing in the environment. Default 200 ms: a burst of
   * edits elsewhere wakes the watchers once.
   */
  readonly bookmarkDelayMs: number;
  /** When a stream is recycled, give or take a tenth. Default 1 h, so that watchers spread over servers again. */
  readonly maxAgeMs: number;
  /**
   * How long a stream waits for the head where its client is ahead of it, because another server on the same store was faster.
   * Default 500 ms, so that the first message comes within 1 s. Whoever is still ahead then gets everything.
   */
  readonly catchUpMs: number;
}

export function resolveLimits(options: Partial<WatchLimits>): WatchLimits {
  return {
    retainedIds: options.retainedIds ?? 10_000,
    maxMessageBytes: options.maxMessageBytes ?? 262_144,
    heartbeatMs: options.heartbeatMs ?? 10_000,
    bookmarkDelayMs: options.bookmarkDelayMs ?? 200,
    maxAgeMs: options.maxAgeMs ?? 3_600_000,
    catchUpMs: options.catchUpMs ?? 500,
  };
}

/** `value`, give or take `share` of it. */
export function jitter(value: number, share: number, random: Random): number {
  return value * (1 - share + 2 * share * random());
}
