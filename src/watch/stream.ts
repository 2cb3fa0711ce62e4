import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { GoodbyeReason, GoodbyeSchema, type Position } from "../../gen/flagwire/v1/watch_pb.js";
import type { Clock, Random } from "../base/index.js";
import type { Tally } from "./counts.js";
import type { Feed } from "./feed.js";
import { Frame } from "./frame.js";
import { jitter, type WatchLimits } from "./options.js";
import { Waker } from "./waker.js";
import type { WatchTarget } from "./watch-target.js";

/** Why streams end, and when their clients may come back. */
export interface Farewell {
  readonly reason: GoodbyeReason;
  readonly retryAfterMs: number;
}

/** What all streams of a hub share. */
export interface StreamSettings {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WatchLimits;
  readonly tally: Tally;
  /** Set once the server is draining. */
  farewell(): Farewell | undefined;
}

/** See WatchHub.watch. */
export async function* watchFeed(
  feed: Feed | undefined,
  { position, once = false }: Pick<WatchTarget, "position" | "once">,
  signal: AbortSignal,
  settings: StreamSettings,
): AsyncGenerator<Frame, void, undefined> {
  if (signal.aborted) return;
  if (feed === undefined) {
    yield farewellFrame({ reason: GoodbyeReason.ENVIRONMENT_DELETED, retryAfterMs: 0 }, settings);
    return;
  }
  const { clock, random, limits, tally } = settings;
  const waker = new Waker(clock, signal);
  const leave = join(feed, waker);
  const endsAtMs = clock.monotonicMs() + jitter(limits.maxAgeMs, 0.1, random);
  let cursor: Position | undefined;
  let heartbeatAtMs = 0;
  try {
    while (!signal.aborted) {
      const farewell = farewellNow(feed, settings, endsAtMs);
      if (farewell !== undefined) {
        yield farewellFrame(farewell, settings);
        return;
      }
      // From here to `sleep` nothing waits, so no news can slip through between looking and sleeping.
      const frames = pendingFrames(feed, position, cursor, clock.monotonicMs() >= heartbeatAtMs);
      if (frames.length === 0) {
        await waker.sleep(Math.min(heartbeatAtMs, endsAtMs) - clock.monotonicMs());
        continue;
      }
      cursor = feed.position;
      for (const frame of frames) {
        if (signal.aborted) return;
        tally.frames++;
        yield frame;
      }
      if (once) return;
      heartbeatAtMs = clock.monotonicMs() + jitter(limits.heartbeatMs, 0.25, random);
    }
  } finally {
    leave();
  }
}

/** Makes news wake the stream, until the function returned is called or the stream's signal aborts. */
function join(feed: Feed, waker: Waker): () => void {
  const leave = (): void => {
    feed.watchers.delete(waker);
    waker.signal.removeEventListener("abort", leave);
  };
  feed.watchers.add(waker);
  // A transport may stop pulling without closing the generator; then no `finally` runs, but the signal still aborts.
  waker.signal.addEventListener("abort", leave);
  return leave;
}

const NOTHING: readonly Frame[] = [];

function pendingFrames(
  feed: Feed,
  asked: Position | undefined,
  cursor: Position | undefined,
  heartbeatIsDue: boolean,
): readonly Frame[] {
  if (cursor === undefined) return feed.firstUpdate(asked);
  if (cursor !== feed.position) return feed.nextUpdate(cursor);
  return heartbeatIsDue ? feed.heartbeat() : NOTHING;
}

function farewellNow(feed: Feed, settings: StreamSettings, endsAtMs: number): Farewell | undefined {
  const farewell = settings.farewell();
  if (farewell !== undefined) return farewell;
  if (feed.removed) return { reason: GoodbyeReason.ENVIRONMENT_DELETED, retryAfterMs: 0 };
  if (settings.clock.monotonicMs() >= endsAtMs) return { reason: GoodbyeReason.RECYCLED, retryAfterMs: 0 };
  return undefined;
}

function farewellFrame({ reason, retryAfterMs }: Farewell, { random, tally }: StreamSettings): Frame {
  const retryAfter = retryAfterMs > 0 ? toDuration(jitter(retryAfterMs, 0.5, random)) : undefined;
  tally.goodbyes++;
  tally.frames++;
  return new Frame({ kind: "goodbye", goodbye: create(GoodbyeSchema, { reason, retryAfter }) }, tally);
}

function toDuration(milliseconds: number): Duration {
  const whole = Math.floor(milliseconds / 1000);
  return create(DurationSchema, { seconds: BigInt(whole), nanos: Math.floor((milliseconds - whole * 1000) * 1e6) });
}
