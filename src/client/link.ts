import type { WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { type BackoffOptions, backoffDelayMs, type Clock, type Random, type StopTimer } from "../base/index.js";
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
  /** How long a stream may then say nothing. */
  readonly silenceTimeoutMs: number;
}

/** Who a link works for. Its methods are called one at a time and must not throw. */
export interface LinkHost {
  /** A stream is about to be opened: what to ask for. */
  begin(): WatchRequest;
  /** A message came. The answer says what to do with the stream. */
  receive(message: WatchResponse): Verdict;
  /** A stream ended. Another follows after a pause. */
  ended(ending: Ending): void;
}

/** What to do with a stream after a message. */
export type Verdict =
  | { readonly kind: "go-on" }
  | { readonly kind: "goodbye"; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: "violation"; readonly message: string };

/** How a stream ended. */
export type Ending =
  | Exclude<Verdict, { kind: "go-on" }>
  | { readonly kind: "closed-by-server" }
  | { readonly kind: "silence"; readonly afterMs: number }
  | { readonly kind: "failed"; readonly error: unknown };

/** One stream, and the timer that watches over it. */
interface Attempt {
  readonly abort: AbortController;
  stopWatchdog: StopTimer;
  firstMessageAtMs: number | undefined;
}

/**
 * A link is `idle` until started, then `streaming` (from the attempt to connect to the end of the stream) and `pausing`
 * in turns, and `closed` for good. Each state owns its timer; leaving it stops it.
 */
type LinkState =
  | { readonly kind: "idle" }
  | { readonly kind: "streaming"; readonly attempt: Attempt }
  | { readonly kind: "pausing"; readonly stop: StopTimer }
  | { readonly kind: "closed" };

/** The longest pause that a server may ask for, so that a wrong one cannot put a mirror to sleep. */
const MAX_RETRY_AFTER_MS = 300_000;

/** Keeps one stream open: opens it, watches over it, and opens it again after a pause, whatever happens. */
export class Link {
  readonly #options: LinkOptions;
  readonly #host: LinkHost;
  #state: LinkState = { kind: "idle" };
  /** Streams that ended without having been healthy, in a row. */
  #failures = 0;
  #attempts = 0;

  constructor(options: LinkOptions, host: LinkHost) {
    this.#options = options;
    this.#host = host;
  }

  /** How many streams were tried. */
  get attempts(): number {
    return this.#attempts;
  }

  open(): void {
    if (this.#state.kind === "closed") return;
    const attempt: Attempt = { abort: new AbortController(), stopWatchdog: () => {}, firstMessageAtMs: undefined };
    this.#state = { kind: "streaming", attempt };
    this.#attempts++;
    this.#watch(attempt, this.#options.firstMessageTimeoutMs);
    void this.#read(attempt);
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "pausing") state.stop();
    if (state.kind === "streaming") drop(state.attempt);
  }

  /** Never rejects. It may outlive its attempt where a transport is slow to let go; then it does nothing any more. */
  async #read(attempt: Attempt): Promise<void> {
    try {
      for await (const message of this.#options.transport.watch(this.#host.begin(), attempt.abort.signal)) {
        if (!this.#isCurrent(attempt)) return;
        attempt.firstMessageAtMs ??= this.#options.clock.monotonicMs();
        this.#watch(attempt, this.#options.silenceTimeoutMs);
        const verdict = this.#host.receive(message);
        if (verdict.kind !== "go-on") return this.#end(attempt, verdict);
      }
      this.#end(attempt, { kind: "closed-by-server" });
    } catch (error) {
      this.#end(attempt, { kind: "failed", error });
    }
  }

  #watch(attempt: Attempt, afterMs: number): void {
    attempt.stopWatchdog();
    attempt.stopWatchdog = this.#options.clock.after(afterMs, () => this.#end(attempt, { kind: "silence", afterMs }));
  }

  #end(attempt: Attempt, ending: Ending): void {
    if (!this.#isCurrent(attempt)) return;
    drop(attempt);
    const { clock, random, backoff } = this.#options;
    if (this.#wasHealthy(attempt)) this.#failures = 0;
    const askedMs = ending.kind === "goodbye" ? Math.min(ending.retryAfterMs, MAX_RETRY_AFTER_MS) : 0;
    const pauseMs = Math.max(askedMs, backoffDelayMs(this.#failures, backoff, random));
    this.#failures++;
    this.#state = { kind: "pausing", stop: clock.after(pauseMs, () => this.open()) };
    this.#host.ended(ending);
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#state.kind === "streaming" && this.#state.attempt === attempt;
  }

  #wasHealthy({ firstMessageAtMs }: Attempt): boolean {
    if (firstMessageAtMs === undefined) return false;
    return this.#options.clock.monotonicMs() - firstMessageAtMs >= this.#options.healthyAfterMs;
  }
}

function drop(attempt: Attempt): void {
  attempt.stopWatchdog();
  attempt.abort.abort();
}
