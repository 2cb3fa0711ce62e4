import type { WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { BackoffOptions, Clock, Random } from "../base/index.js";
import type { Step } from "./delivery.js";
import type { Ending, Verdict } from "./ending.js";
import type { MirrorTransport } from "./transport.js";

/** Settings of a link, all in milliseconds; MirrorOptions has their reasons. */
export interface LinkOptions {
  readonly transport: MirrorTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff: BackoffOptions;
  /** A stream that lived this long lets the backoff start again from its minimum. */
  readonly healthyAfterMs: number;
  /** How long a new stream may take to its first message. */
  readonly firstMessageTimeoutMs: number;
  /**
   * How long a stream may say nothing, also between messages, while somebody waits for the first update; and how long one may
   * take to its first message where a poll would work.
   */
  readonly doubtTimeoutMs: number;
  /** How long a stream may then say nothing. */
  readonly silenceTimeoutMs: number;
  /** How long a poll may say nothing, also before its first message: a proxy may hold back all of it. */
  readonly pollTimeoutMs: number;
  /** The longest pause between polls. */
  readonly pollIntervalMs: number;
  /** How long it polls before it tries a stream again. */
  readonly streamRetryMs: number;
}

/** What follows from an ending. */
export interface Aftermath {
  /** It was a stream where polls work, and a poll takes its place. */
  readonly wasTrial: boolean;
  /** The position may be what is wrong. */
  readonly mustResync: boolean;
}

/** Who a link works for. Its methods are called one at a time and must not throw. */
export interface LinkHost {
  /** Whether somebody waits for the first update. */
  readonly isAwaited: boolean;
  /** Whether somebody waits for what the next poll may bring. */
  readonly isHurried: boolean;
  /** A stream or a poll is about to be opened: what to ask for. */
  begin(): WatchRequest;
  /** A message came. The answer says what to do with the stream. */
  receive(message: WatchResponse): Verdict;
  /** A stream or a poll ended badly, or by a goodbye. Another attempt follows. */
  ended(ending: Ending, aftermath: Aftermath): void;
  /** From now on updates are polled, or streamed again; `isProven` where one has come through. */
  delivering(by: Step, isProven: boolean): void;
}
