import type { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { invariant } from "../base/index.js";
import { createTally, type WatchCounts } from "./counts.js";
import type { Farewell } from "./farewell.js";
import { Feed, type Publication, type Watcher } from "./feed.js";
import { FeedCursor, type StreamSettings } from "./feed-cursor.js";
import type { Frame } from "./frame.js";
import { resolveLimits, type WatchHubOptions } from "./options.js";
import { pickSome } from "./pick-some.js";
import type { RetainedChange } from "./retained-window.js";
import { Schedule } from "./schedule.js";
import type { WatchCursor } from "./watch-cursor.js";
import { watchFrames } from "./watch-frames.js";
import type { WatchTarget } from "./watch-target.js";
import { Waves } from "./waves.js";

/** Times are rounded to so many parts of the time between heartbeats: 250 ms, far from what is promised. */
const TICKS_PER_HEARTBEAT = 40;

/**
 * The fan-out: one state and one recent past for each environment, read by any number of streams at their own pace.
 * Nothing is queued for a stream, so memory does not grow with slow clients.
 */
export interface WatchHub {
  /** Begins an environment, or begins it again, with all its flags and segments. */
  reset(environment: string, publication: Publication): void;
  /**
   * Moves an environment to a durable revision; `items` is what the revision changed in it, deletions included. Call it
   * for every environment and every revision, in order; with no items where the revision is about something else.
   */
  publish(environment: string, publication: Publication): void;
  /**
   * Makes an environment remember changes from before its `reset`, such as kept history after a restart, so that clients
   * can go on where they were. `changes` must be all after `floor` and up to the current revision, oldest first.
   */
  prime(environment: string, floor: bigint, changes: readonly RetainedChange[]): void;
  /** Ends an environment: its streams are told, and end. */
  remove(environment: string): void;
  has(environment: string): boolean;
  /**
   * Begins a stream: an update at once, then what changes, and heartbeats; a goodbye in the end. `onNews` is called where
   * the cursor had nothing, in a turn of the event loop of its own or others'; it must not throw. Close the cursor when the
   * stream is over, however it ends.
   */
  open(target: WatchTarget, onNews: () => void): WatchCursor;
  /**
   * The messages of one stream, as `open` gives them. Pull the next when the one before has been taken by the client. It
   * ends after a goodbye, or without one when `signal` aborts, which also lets go of everything that the stream holds,
   * whether or not it is pulled again.
   */
  watch(target: WatchTarget, signal: AbortSignal): AsyncGenerator<Frame, void, undefined>;
  /**
   * Ends all streams, and those to come: each finishes its update and then says goodbye. Clients are asked to wait
   * `retryAfterMs`, give or take a half, so that they do not come back together.
   */
  goodbye(reason: GoodbyeReason, retryAfterMs: number): void;
  /**
   * Ends so many streams, or all if there are fewer, as if they had become old: chance picks them. So that their clients
   * spread over servers anew.
   */
  recycle(count: number): void;
  counts(): WatchCounts;
  /** How many streams are open, by environment. */
  watchersByEnvironment(): Iterable<readonly [environment: string, watchers: number]>;
}

export function createWatchHub(options: WatchHubOptions): WatchHub {
  const { clock, random } = options;
  const limits = resolveLimits(options);
  const tally = createTally();
  const waves = new Waves();
  const feeds = new Map<string, Feed>();
  let farewell: Farewell | undefined;
  const schedule = new Schedule(clock, Math.max(1, limits.heartbeatMs / TICKS_PER_HEARTBEAT));
  const settings: StreamSettings = { clock, random, limits, tally, schedule, farewell: () => farewell };

  const feedOf = (environment: string): Feed => {
    const feed = feeds.get(environment);
    invariant(feed !== undefined, `environment ${environment} was published before it was reset`);
    return feed;
  };

  const open: WatchHub["open"] = (target, onNews) =>
    new FeedCursor(feeds.get(target.environment), target, onNews, settings);

  return {
    reset(environment, publication) {
      const feed = feeds.get(environment);
      if (feed === undefined) feeds.set(environment, new Feed(publication, limits, clock, tally, waves));
      else feed.reset(publication);
    },
    publish: (environment, publication) => feedOf(environment).publish(publication),
    prime: (environment, floor, changes) => feedOf(environment).prime(floor, changes),
    remove(environment) {
      feeds.get(environment)?.remove();
      feeds.delete(environment);
    },
    has: (environment) => feeds.has(environment),
    open,
    watch: (target, signal) => watchFrames((onNews) => open(target, onNews), signal),
    goodbye(reason, retryAfterMs) {
      farewell = { reason, retryAfterMs };
      for (const feed of feeds.values()) feed.wake();
    },
    recycle(count) {
      const staying: Watcher[] = [];
      for (const feed of feeds.values()) {
        for (const watcher of feed.watchers) if (!watcher.isLeaving) staying.push(watcher);
      }
      const picked = pickSome(staying, count, random);
      for (const watcher of picked) watcher.recycle();
      waves.start(new Set(picked));
    },
    counts: () => ({ environments: feeds.size, ...tally }),
    watchersByEnvironment: () =>
      Array.from(feeds, ([environment, { watchers }]) => [environment, watchers.size] as const),
  };
}
