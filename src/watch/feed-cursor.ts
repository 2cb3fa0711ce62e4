import { GoodbyeReason, type Position } from "../../gen/flagwire/v1/watch_pb.js";
import type { Clock, Random } from "../base/index.js";
import type { Tally } from "./counts.js";
import { type Farewell, farewellFrame } from "./farewell.js";
import type { Feed, Watcher } from "./feed.js";
import type { Frame } from "./frame.js";
import { jitter, type WatchLimits } from "./options.js";
import type { Schedule, Scheduled } from "./schedule.js";
import type { WatchCursor } from "./watch-cursor.js";
import type { WatchTarget } from "./watch-target.js";

/** What all streams of a hub share. */
export interface StreamSettings {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WatchLimits;
  readonly tally: Tally;
  /** Heartbeats and ages. */
  readonly schedule: Schedule;
  /** Set once the server is draining. */
  farewell(): Farewell | undefined;
}

const NOTHING: readonly Frame[] = [];
const ignore = (): void => {};

/**
 * A cursor in a feed. There may be tens of thousands, so one that waits is this object alone: no timer, promise or listener.
 *
 *     begun ──ahead of the head──▶ waiting        begun ──else──▶ sending
 *     sending ──last taken, nothing new──▶ waiting ──news, heartbeat, age──▶ sending (onNews)
 *     sending ──goodbye, or the only update, taken──▶ ended        any ──close──▶ ended
 */
export class FeedCursor implements WatchCursor, Watcher, Scheduled {
  slot: Set<Scheduled> | undefined;
  readonly #feed: Feed | undefined;
  readonly #settings: StreamSettings;
  readonly #isOnce: boolean;
  #onNews: () => void;
  /** What the client has, or is being sent; before the first update, what it says that it has. */
  #position: Position | undefined;
  #hasBegun = false;
  /** The rest of the update that is being sent. */
  #frames = NOTHING;
  #index = 0;
  /** An update or a heartbeat was sent, and its being taken is still to be noticed. */
  #isSending = false;
  #isWaiting = false;
  #isLeaving = false;
  #ended = false;
  /** When the next heartbeat is due; before the first update, until when that may wait for a head that is behind. */
  #silentUntilMs: number;
  #endsAtMs: number;

  /** Without a feed, because there is no such environment, it only says goodbye. */
  constructor(
    feed: Feed | undefined,
    { position, once = false }: Pick<WatchTarget, "position" | "once">,
    onNews: () => void,
    settings: StreamSettings,
  ) {
    const { clock, random, limits } = settings;
    this.#feed = feed;
    this.#settings = settings;
    this.#isOnce = once;
    this.#position = position;
    this.#onNews = onNews;
    const nowMs = clock.monotonicMs();
    this.#silentUntilMs = nowMs + limits.catchUpMs;
    this.#endsAtMs = feed === undefined ? 0 : nowMs + jitter(limits.maxAgeMs, 0.1, random);
    feed?.join(this);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get isLeaving(): boolean {
    return this.#isLeaving || this.#endsAtMs === Number.NEGATIVE_INFINITY;
  }

  get dueAtMs(): number {
    return Math.min(this.#silentUntilMs, this.#endsAtMs);
  }

  next(): Frame | undefined {
    if (this.#ended) return undefined;
    this.#isWaiting = false;
    const frame = this.#takeFrame() ?? this.#begin();
    if (frame !== undefined) this.#settings.tally.frames++;
    return frame;
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#isWaiting = false;
    this.#frames = NOTHING;
    this.#onNews = ignore;
    this.#settings.schedule.remove(this);
    this.#feed?.leave(this);
  }

  wake(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#onNews();
  }

  due(): void {
    this.wake();
  }

  /** Makes it say goodbye when it is next asked. */
  recycle(): void {
    this.#endsAtMs = Number.NEGATIVE_INFINITY;
  }

  /** The next frame of the update that is being sent. */
  #takeFrame(): Frame | undefined {
    const frame = this.#frames[this.#index++];
    // The frames belong to a head, which is not to be held by those who wait.
    if (this.#index >= this.#frames.length) this.#frames = NOTHING;
    return frame;
  }

  /** Goes on to whatever there is to send. */
  #begin(): Frame | undefined {
    const { clock, random, limits, schedule, tally } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (this.#isLeaving || (this.#isSending && this.#isOnce)) {
      this.close();
      return undefined;
    }
    if (this.#isSending) this.#silentUntilMs = nowMs + jitter(limits.heartbeatMs, 0.25, random);
    this.#isSending = false;
    const farewell = this.#farewell(nowMs);
    if (farewell !== undefined) {
      this.#isLeaving = true;
      return farewellFrame(farewell, random, tally);
    }
    const frames = this.#pendingFrames(nowMs);
    this.#isSending = frames.length > 0;
    this.#isWaiting = !this.#isSending;
    if (this.#isWaiting) {
      schedule.add(this);
      return undefined;
    }
    this.#frames = frames;
    this.#index = 0;
    return this.#takeFrame();
  }

  #pendingFrames(nowMs: number): readonly Frame[] {
    const feed = this.#feed;
    if (feed === undefined) return NOTHING;
    const before = this.#position;
    if (!this.#hasBegun && before !== undefined && feed.isAhead(before) && nowMs < this.#silentUntilMs) return NOTHING;
    const isFirst = !this.#hasBegun;
    this.#hasBegun = true;
    this.#position = feed.position;
    if (isFirst || before === undefined) return feed.firstUpdate(before);
    if (before !== feed.position) return feed.nextUpdate(before);
    return nowMs >= this.#silentUntilMs ? feed.heartbeat() : NOTHING;
  }

  #farewell(nowMs: number): Farewell | undefined {
    if (this.#feed === undefined) return { reason: GoodbyeReason.ENVIRONMENT_DELETED, retryAfterMs: 0 };
    const farewell = this.#settings.farewell();
    if (farewell !== undefined) return farewell;
    if (this.#feed.removed) return { reason: GoodbyeReason.ENVIRONMENT_DELETED, retryAfterMs: 0 };
    if (nowMs >= this.#endsAtMs) return { reason: GoodbyeReason.RECYCLED, retryAfterMs: 0 };
    return undefined;
  }
}
