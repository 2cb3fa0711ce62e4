import { backoffDelayMs, type StopTimer } from "../base/index.js";
import { Delivery, type Step } from "./delivery.js";
import { type Ending, foundNobody, keepsPosition, speaksAgainstStreams, toMirrorError } from "./ending.js";
import type { LinkHost, LinkOptions } from "./link-host.js";
import type { MirrorError } from "./mirror-error.js";

/** One stream or poll, and the timer that watches over it. */
interface Attempt {
  readonly step: Step;
  readonly abort: AbortController;
  readonly startedAtMs: number;
  stopWatchdog: StopTimer;
  firstMessageAtMs: number | undefined;
  lastMessageAtMs: number;
  /** Somebody waits for its next message. */
  isHurried: boolean;
}

/**
 * A link is `idle` until started, then `attempting` (a stream or a poll, from the attempt to connect to its end) and
 * `pausing` in turns, but for the stream that follows a first good poll without a pause, and `closed` for good. Each state
 * owns its timer; leaving it stops it. Which of the two is attempted is the delivery's to say.
 */
type LinkState =
  | { readonly kind: "idle" }
  | { readonly kind: "attempting"; readonly attempt: Attempt }
  | {
      readonly kind: "pausing";
      readonly stop: StopTimer;
      /** When it ends. */
      readonly untilMs: number;
      /** When the poll began that succeeded before this pause. */
      readonly polledAtMs?: number;
    }
  | { readonly kind: "closed" };

/** The longest pause that a server may ask for, so that a wrong one cannot put a mirror to sleep. */
const MAX_RETRY_AFTER_MS = 300_000;
/** The longest pause before everything is fetched anew, where what came cannot be right again and again. */
const MAX_RESYNC_PAUSE_MS = 120_000;
/** What went wrong is forgotten after so many times the time that a stream needs to be healthy. */
const FORGOTTEN_AFTER = 10;
/** Polls that somebody waits for begin at least so far apart. */
const MIN_POLL_INTERVAL_MS = 1_000;
/** How long a stream that takes a poll's place may say nothing while somebody waits: it brings changes at once, or it stalls. */
const HURRIED_PATIENCE_MS = 2_000;

/**
 * Keeps one stream open: opens it, watches over it, and opens it again after a pause, whatever happens. Polls where streams
 * do not last, and returns to streaming when one does.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #host: LinkHost;
  readonly #delivery: Delivery;
  #state: LinkState = { kind: "idle" };
  /** Attempts that ended without a healthy stream, in a row. */
  #failures = 0;
  /** How often what came could not be right, lately, and when last. */
  #resyncs = 0;
  #resyncAtMs = 0;
  #attempts = 0;
  #polls = 0;
  #wasInStep = false;
  /** The last stream had spoken, and gave way because somebody waited, though there may have been nothing to say. */
  #gaveWay = false;

  constructor(options: LinkOptions, host: LinkHost) {
    this.#options = options;
    this.#host = host;
    this.#delivery = new Delivery(options);
  }

  /** How many streams and polls were tried. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How many of them were polls. */
  get polls(): number {
    return this.#polls;
  }

  get delivery(): Step {
    return this.#delivery.by;
  }

  open(): void {
    if (this.#state.kind === "closed") return;
    const startedAtMs = this.#options.clock.monotonicMs();
    const step = this.#delivery.next(startedAtMs, this.#wasInStep);
    const abort = new AbortController();
    const attempt: Attempt = {
      step,
      abort,
      startedAtMs,
      stopWatchdog: () => {},
      firstMessageAtMs: undefined,
      lastMessageAtMs: startedAtMs,
      isHurried: false,
    };
    this.#state = { kind: "attempting", attempt };
    this.#attempts++;
    if (step === "poll") this.#polls++;
    this.#watch(attempt);
    void this.#read(attempt);
  }

  /**
   * Somebody waits for what the next poll may bring: it comes at once, or a second after the last one. A stream that is tried
   * in its place soon gives way if it says nothing.
   */
  hurry(): void {
    const state = this.#state;
    if (state.kind === "attempting") this.#hurryStream(state.attempt);
    if (state.kind !== "pausing" || state.polledAtMs === undefined) return;
    const atMs = state.polledAtMs + MIN_POLL_INTERVAL_MS;
    if (atMs >= state.untilMs) return;
    state.stop();
    this.#pause(Math.max(0, atMs - this.#options.clock.monotonicMs()));
  }

  /** Once for each of its messages: who asks again and again must not put off its end. */
  #hurryStream(attempt: Attempt): void {
    if (attempt.step !== "stream" || attempt.isHurried || !this.#delivery.canPoll) return;
    if (this.#gaveWay && attempt.firstMessageAtMs !== undefined) return;
    attempt.isHurried = true;
    this.#watch(attempt);
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "pausing") state.stop();
    if (state.kind === "attempting") drop(state.attempt);
  }

  /** Never rejects. It may outlive its attempt where a transport is slow to let go; then it does nothing any more. */
  async #read(attempt: Attempt): Promise<void> {
    try {
      const request = this.#host.begin();
      request.once = attempt.step === "poll";
      for await (const message of this.#options.transport.watch(request, attempt.abort.signal)) {
        if (!this.#isCurrent(attempt)) return;
        attempt.isHurried = false;
        attempt.lastMessageAtMs = this.#options.clock.monotonicMs();
        attempt.firstMessageAtMs ??= attempt.lastMessageAtMs;
        const verdict = this.#host.receive(message);
        if (!this.#isCurrent(attempt)) return;
        if (verdict.kind === "in-step") {
          this.#wasInStep = true;
          if (attempt.step === "poll") return this.#polled(attempt);
        } else if (verdict.kind !== "go-on") {
          return this.#end(attempt, verdict);
        }
        this.#watch(attempt);
        if (attempt.step === "stream" && this.#wasHealthy(attempt, attempt.lastMessageAtMs)) this.#streams();
      }
      this.#end(attempt, { kind: "closed-by-server" });
    } catch (error) {
      this.#end(attempt, { kind: "failed", error });
    }
  }

  #watch(attempt: Attempt): void {
    attempt.stopWatchdog();
    const afterMs = this.#patienceMs(attempt);
    attempt.stopWatchdog = this.#options.clock.after(afterMs, () => this.#end(attempt, { kind: "silence", afterMs }));
  }

  #patienceMs({ step, firstMessageAtMs, isHurried }: Attempt): number {
    const { pollTimeoutMs, doubtTimeoutMs, firstMessageTimeoutMs, silenceTimeoutMs } = this.#options;
    const isFirst = firstMessageAtMs === undefined;
    if (step === "poll") return pollTimeoutMs;
    if (this.#host.isAwaited) return doubtTimeoutMs;
    if (!this.#delivery.canPoll) return isFirst ? firstMessageTimeoutMs : silenceTimeoutMs;
    if (isHurried) return HURRIED_PATIENCE_MS;
    // A poll would work: it has to come before the mirror is stale.
    return isFirst ? doubtTimeoutMs : silenceTimeoutMs / 2;
  }

  #polled(attempt: Attempt): void {
    drop(attempt);
    this.#delivery.pollSucceeded();
    const { random, pollIntervalMs } = this.#options;
    // Where a poll worked for the first time, a stream is tried once more at once: the server may just have come back.
    if (this.#delivery.by === "stream") this.open();
    else {
      this.#failures = 0;
      this.#pause(pollIntervalMs * (0.5 + random() / 2), attempt.startedAtMs);
    }
    // What this poll did not bring, or was asked for while it was on its way.
    if (this.#host.isHurried) this.hurry();
  }

  /** A stream is healthy. */
  #streams(): void {
    const before = this.#delivery.by;
    this.#wasStreaming();
    if (before === "poll") this.#host.delivering("stream", true);
  }

  #wasStreaming(): void {
    this.#failures = 0;
    this.#delivery.streamWasHealthy();
  }

  #end(attempt: Attempt, ending: Ending): void {
    if (!this.#isCurrent(attempt)) return;
    drop(attempt, toMirrorError(ending, this.#options.transport.address));
    const isDoubtful = attempt.step === "stream" && this.#delivery.canPoll;
    const before = this.#delivery.by;
    if (attempt.step === "stream") this.#gaveWay = attempt.isHurried && attempt.firstMessageAtMs !== undefined;
    this.#judge(attempt, ending);
    const { by } = this.#delivery;
    const wasTrial = isDoubtful && this.#delivery.next(this.#options.clock.monotonicMs(), true) === "poll";
    // Polls have shown the position to be right; a stream that brought nothing cannot have spoilt it.
    const isProven = wasTrial && attempt.firstMessageAtMs === undefined;
    const mustResync = !keepsPosition(ending) && !isProven;
    // Where a stream was only tried, a poll takes its place at once, unless it has to bring everything.
    this.#pause(wasTrial && !mustResync ? 0 : this.#pauseMs(attempt, ending));
    this.#host.ended(ending, { wasTrial, mustResync });
    if (by !== before) this.#host.delivering(by, by === "poll");
  }

  /** What an ending says of streams and polls. */
  #judge(attempt: Attempt, ending: Ending): void {
    const nowMs = this.#options.clock.monotonicMs();
    const livedUntilMs = ending.kind === "silence" ? attempt.lastMessageAtMs : nowMs;
    if (attempt.step === "stream" && this.#wasHealthy(attempt, livedUntilMs)) this.#wasStreaming();
    else if (foundNobody(ending)) this.#delivery.nobodyThere(nowMs);
    else if (attempt.step === "poll") this.#delivery.pollFailed();
    else if (speaksAgainstStreams(ending, this.#delivery.canPoll)) this.#delivery.streamWasBad(nowMs);
    else this.#delivery.streamWasEnded();
  }

  #pauseMs({ step }: Attempt, ending: Ending): number {
    const { random, backoff } = this.#options;
    const askedMs = ending.kind === "goodbye" ? Math.min(ending.retryAfterMs, MAX_RETRY_AFTER_MS) : 0;
    const resyncMs = keepsPosition(ending) ? 0 : this.#resyncPauseMs();
    const { failedPolls } = this.#delivery;
    const failures = step === "poll" && failedPolls > 0 ? failedPolls - 1 : this.#failures++;
    return Math.max(askedMs, resyncMs, backoffDelayMs(failures, backoff, random));
  }

  /** Healthy streams and polls do not shorten it: each time, all flags and segments have to be sent. */
  #resyncPauseMs(): number {
    const { clock, random, backoff, healthyAfterMs } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#resyncAtMs >= FORGOTTEN_AFTER * healthyAfterMs) this.#resyncs = 0;
    this.#resyncAtMs = nowMs;
    const maxMs = Math.max(backoff.maxMs, MAX_RESYNC_PAUSE_MS);
    return backoffDelayMs(this.#resyncs++, { minMs: backoff.minMs, maxMs }, random);
  }

  #pause(pauseMs: number, polledAtMs?: number): void {
    const { clock } = this.#options;
    const stop = clock.after(pauseMs, () => this.open());
    this.#state = {
      kind: "pausing",
      stop,
      untilMs: clock.monotonicMs() + pauseMs,
      ...(polledAtMs !== undefined && { polledAtMs }),
    };
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#state.kind === "attempting" && this.#state.attempt === attempt;
  }

  #wasHealthy({ firstMessageAtMs }: Attempt, untilMs: number): boolean {
    return firstMessageAtMs !== undefined && untilMs - firstMessageAtMs >= this.#options.healthyAfterMs;
  }
}

/** `reason` is why it is given up, where something is wrong: the transport may tell of it. */
function drop(attempt: Attempt, reason?: MirrorError): void {
  attempt.stopWatchdog();
  attempt.abort.abort(reason);
}
