import type { BackoffOptions, Clock, Random } from "../base/index.js";
import type { MirrorCache } from "./cache.js";
import { checkPause, checkTime } from "./check-time.js";
import type { MirrorTransport } from "./transport.js";

/** What a mirror tells its host's log. Nothing in it is secret. */
export interface MirrorLogEntry {
  readonly level: "info" | "warn";
  readonly message: string;
  readonly cause?: unknown;
}

/** The times a mirror works with, all in milliseconds. */
export interface MirrorTimes {
  /**
   * How long opening may take where there is no kept snapshot. Default 10 s: a deployment should fail, not hang. A cache
   * that takes as long to load is ignored, and the server is then given its time.
   */
  readonly connectTimeoutMs: number;
  /** How long opening waits for the server where there is a kept snapshot. Default 2 s. A failed connection ends it at once. */
  readonly fallbackAfterMs: number;
  /** How long a new stream may take to its first message before it is given up. Default 10 s; servers send it within 1 s. */
  readonly firstMessageTimeoutMs: number;
  /**
   * How long the server may say nothing before what the mirror holds counts as stale, and its connection as dead.
   * Default 45 s: three of the longest heartbeat intervals.
   */
  readonly staleAfterMs: number;
  /**
   * The longest pause between polls, where streams do not get through. Default 10 s, with jitter between half of it and all
   * of it; never more than half of `staleAfterMs`.
   */
  readonly pollIntervalMs: number;
  /** How long a poll may say nothing. Default 20 s: a proxy may hold it back until it is whole. */
  readonly pollTimeoutMs: number;
  /** How long it polls before it tries a stream again. Default 3 min, give or take a half. */
  readonly streamRetryMs: number;
  /** How long a stream must live to let the backoff start again from its minimum. Default 60 s. */
  readonly healthyAfterMs: number;
  /** How long changes are collected before the cache is written. Default 1 s. The first snapshot is written at once. */
  readonly cacheDelayMs: number;
}

/** All that a mirror needs, resolved. */
export interface MirrorParts {
  readonly environment: string;
  readonly clientName: string;
  readonly transport: MirrorTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly times: MirrorTimes;
  readonly backoff: BackoffOptions;
  readonly cache: MirrorCache | undefined;
  /** See MirrorOptions. */
  readonly privateAttributes: readonly string[];
  /** How often usage is reported; undefined: never. */
  readonly reportIntervalMs: number | undefined;
  /** See MirrorOptions. */
  readonly sampleContexts: boolean;
  /** A new id, unlike any other's. */
  readonly createId: () => string;
  /** Keeps the program from ending by itself until the function returned is called. */
  readonly stayAlive: () => () => void;
  /** Never throws. */
  readonly log: (entry: MirrorLogEntry) => void;
}

/** Throws a `TypeError` for what is no time, and for a pause that is none: what it is between would never stop. */
export function resolveTimes(times: Partial<MirrorTimes>): MirrorTimes {
  const staleAfterMs = times.staleAfterMs ?? 45_000;
  const resolved: MirrorTimes = {
    connectTimeoutMs: times.connectTimeoutMs ?? 10_000,
    fallbackAfterMs: times.fallbackAfterMs ?? 2_000,
    firstMessageTimeoutMs: times.firstMessageTimeoutMs ?? 10_000,
    staleAfterMs,
    pollIntervalMs: Math.min(times.pollIntervalMs ?? 10_000, staleAfterMs / 2),
    pollTimeoutMs: times.pollTimeoutMs ?? 20_000,
    streamRetryMs: times.streamRetryMs ?? 180_000,
    healthyAfterMs: times.healthyAfterMs ?? 60_000,
    cacheDelayMs: times.cacheDelayMs ?? 1_000,
  };
  checkPause("staleAfterMs", staleAfterMs);
  checkPause("pollIntervalMs", times.pollIntervalMs ?? resolved.pollIntervalMs);
  for (const [name, ms] of Object.entries(resolved)) checkTime(name, ms);
  return resolved;
}

/** Full jitter from half a second, so that a herd spreads, to half a minute. Throws a `TypeError` like resolveTimes. */
export function resolveBackoff({ minMs = 500, maxMs = 30_000 }: Partial<BackoffOptions> = {}): BackoffOptions {
  checkPause("backoff.minMs", minMs);
  checkPause("backoff.maxMs", maxMs);
  return { minMs, maxMs };
}

/** Undefined: never. Throws a `TypeError` like resolveTimes. */
export function resolveReportInterval(option: false | { readonly intervalMs?: number } = {}): number | undefined {
  if (option === false) return undefined;
  const { intervalMs = 60_000 } = option;
  checkPause("reportUsage.intervalMs", intervalMs);
  return intervalMs;
}

/** Throws a `TypeError` for what is neither true nor false: what was meant as a refusal must not be taken for consent. */
export function resolveSampleContexts(option: unknown = true): boolean {
  if (typeof option !== "boolean") throw new TypeError("sampleContexts must be true or false");
  return option;
}
