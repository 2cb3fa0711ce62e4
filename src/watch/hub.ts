import type { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { invariant } from "../base/index.js";
import { createTally, type WatchCounts } from "./counts.js";
import { Feed, type Publication } from "./feed.js";
import type { Frame } from "./frame.js";
import { resolveLimits, type WatchHubOptions } from "./options.js";
import type { RetainedChange } from "./retained-window.js";
import { type Farewell, type StreamSettings, watchFeed } from "./stream.js";
import type { WatchTarget } from "./watch-target.js";

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
   * The messages of one stream: an update at once, then what changes, and heartbeats. Pull the next when the one before
   * has been taken by the client. It ends after a goodbye, or without one when `signal` aborts, which also lets go of
   * everything that the stream holds, whether or not it is pulled again.
   */
  watch(target: WatchTarget, signal: AbortSignal): AsyncGenerator<Frame, void, undefined>;
  /**
   * Ends all streams, and those to come: each finishes its update and then says goodbye. Clients are asked to wait
   * `retryAfterMs`, give or take a half, so that they do not come back together.
   */
  goodbye(reason: GoodbyeReason, retryAfterMs: number): void;
  counts(): WatchCounts;
}

export function createWatchHub(options: WatchHubOptions): WatchHub {
  const { clock, random } = options;
  const limits = resolveLimits(options);
  const tally = createTally();
  const feeds = new Map<string, Feed>();
  let farewell: Farewell | undefined;
  const settings: StreamSettings = { clock, random, limits, tally, farewell: () => farewell };

  const feedOf = (environment: string): Feed => {
    const feed = feeds.get(environment);
    invariant(feed !== undefined, `environment ${environment} was published before it was reset`);
    return feed;
  };

  return {
    reset(environment, publication) {
      const feed = feeds.get(environment);
      if (feed === undefined) feeds.set(environment, new Feed(publication, limits, clock, tally));
      else feed.reset(publication);
    },
    publish: (environment, publication) => feedOf(environment).publish(publication),
    prime: (environment, floor, changes) => feedOf(environment).prime(floor, changes),
    remove(environment) {
      feeds.get(environment)?.remove();
      feeds.delete(environment);
    },
    has: (environment) => feeds.has(environment),
    watch: (target, signal) => watchFeed(feeds.get(target.environment), target, signal, settings),
    goodbye(reason, retryAfterMs) {
      farewell = { reason, retryAfterMs };
      for (const feed of feeds.values()) feed.wake();
    },
    counts() {
      let watchers = 0;
      for (const feed of feeds.values()) watchers += feed.watchers.size;
      return { environments: feeds.size, watchers, ...tally };
    },
  };
}
