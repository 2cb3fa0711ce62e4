import type { MirrorOptions } from "../../src/client/index.js";
import type { BoundsOptions } from "../../src/store/index.js";
import type { WatchLimits } from "../../src/watch/index.js";
import { Chance } from "./chance.js";

/** What may happen next, with how likely it usually is. */
export const USUAL_WEIGHTS = {
  write: 40,
  burst: 4,
  evaluate: 6,
  poll: 4,
  wait: 6,
  "open watcher": 3,
  "close watcher": 2,
  "mislead watcher": 2,
  "open mirror": 2,
  "close mirror": 1.5,
  cut: 5,
  freeze: 2,
  thaw: 4,
  slow: 3,
  refuse: 1,
  tamper: 4,
  "crash worker": 1.5,
  "stop worker": 1.5,
  "crash server": 1,
  "stop server": 1,
  backup: 1.5,
  restore: 0.7,
  "fail disk": 0.6,
  "fill disk": 0.6,
  "slow disk": 2,
  "jump clock": 1,
};

export type StepName = keyof typeof USUAL_WEIGHTS;

/** A run, as its seed wants it. */
export interface Plan {
  readonly seed: number;
  readonly steps: number;
  readonly weights: { readonly [name in StepName]: number };
  readonly workers: number;
  readonly environments: readonly string[];
  readonly flagKeys: readonly string[];
  readonly segmentKeys: readonly string[];
  readonly store: BoundsOptions & { readonly history: { readonly maxEntries: number } };
  readonly watch: WatchLimits;
  /** How much time passes between two steps at most; most often none. */
  readonly maxPauseMs: number;
  /** How long a worker may take to learn of a revision. */
  readonly maxLagMs: number;
  /** Segments are so large that they travel in parts. */
  readonly hasLargeSegments: boolean;
}

export function planOf(seed: number): Plan {
  const chance = new Chance(seed);
  const weights = { ...USUAL_WEIGHTS };
  // Some runs are all about one thing, and some know nothing of it.
  for (const name of Object.keys(weights) as StepName[]) weights[name] *= chance.pick([0, 0.3, 1, 1, 1, 4]);
  weights.write = Math.max(weights.write, 10);
  const name = (prefix: string, most: number): string[] =>
    Array.from({ length: chance.integer(1, most) }, (_, index) => `${prefix}${index}`);
  const hasLargeSegments = chance.is(0.02);
  return {
    seed,
    steps: chance.pick([20, 40, 40, 80]),
    weights,
    workers: chance.integer(1, 3),
    environments: ["production", "staging", "canary"].slice(0, chance.integer(1, 3)),
    flagKeys: name("flag-", 6),
    segmentKeys: name("segment-", 2),
    store: {
      history: { maxEntries: chance.pick([2, 3, 10, 1_000]), maxBytes: chance.pick([2_000, 2 ** 28]) },
      window: { maxEntries: chance.pick([1, 2, 100]), maxBytes: chance.pick([1_000, 2 ** 23]) },
    },
    watch: {
      retainedIds: chance.pick([0, 1, 2, 5, 20, 1_000]),
      maxMessageBytes: hasLargeSegments ? chance.pick([2_000, 20_000]) : chance.pick([1, 200, 1_000, 262_144]),
      heartbeatMs: HEARTBEAT_MS,
      bookmarkDelayMs: chance.pick([0, 1, 20, 100]),
      maxAgeMs: chance.pick([3_000, 3_600_000]),
      catchUpMs: 50,
    },
    maxPauseMs: chance.pick([5, 50, 400]),
    maxLagMs: chance.pick([0, 0, 3, 50]),
    hasLargeSegments,
  };
}

/** Ten times as fast as usual, like all times of a run. */
const HEARTBEAT_MS = 1_000;
/** What is left of 15 s, of 1 s, and of the time that a head is waited for. */
export const CHECKED_LIMITS = { heartbeatMs: 1_500, firstMessageMs: 100, catchUpMs: 50 };

export const MIRROR_TIMES: MirrorOptions = {
  connectTimeoutMs: 1_000,
  fallbackAfterMs: 200,
  firstMessageTimeoutMs: 1_000,
  staleAfterMs: 4_500,
  pollIntervalMs: 1_000,
  pollTimeoutMs: 1_000,
  streamRetryMs: 5_000,
  healthyAfterMs: 6_000,
  cacheDelayMs: 100,
  backoff: { minMs: 50, maxMs: 1_000 },
};

/** In far less than a heartbeat a change is everywhere, where nothing holds it up. */
export const PROMPT_MS = 50;
/** How long a watcher waits before it comes back, at most. */
export const MOST_PAUSE_MS = 300;

/** After so long without faults everybody has come to the same. */
export const QUIET_MS = 12_000;
