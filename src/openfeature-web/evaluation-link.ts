import { backoffDelayMs, type StopTimer } from "../base/index.js";
import { CallError, messageOf } from "./call-error.js";
import type { ConnectClient } from "./connect-client.js";
import { type AnswerUpdate, parseUpdate } from "./flag-answers.js";
import { isRecord, textOf } from "./json.js";
import type { WebSettings } from "./web-settings.js";

/** What a link tells. */
export interface LinkListener {
  update(update: AnswerUpdate): void;
  /** It is without a connection, and goes on trying. */
  lost(error: CallError): void;
}

export interface LinkParts {
  readonly settings: WebSettings;
  readonly client: ConnectClient;
  /** A BulkEvaluateRequest, which is a WatchEvaluationsRequest too. */
  readonly request: object;
  readonly listener: LinkListener;
}

type Step = "stream" | "poll";

/** One stream or poll, and the timer that watches over it. */
interface Attempt {
  readonly step: Step;
  readonly abort: AbortController;
  readonly startedAtMs: number;
  stopWatchdog: StopTimer;
  hasSpoken: boolean;
  /** What a goodbye asked for. */
  retryAfterMs: number | undefined;
}

/** `attempting` and `pausing` in turns; `idle` where nothing is followed, `closed` for good. Each state owns its timer. */
type LinkState =
  | { readonly kind: "idle" }
  | { readonly kind: "attempting"; readonly attempt: Attempt }
  | { readonly kind: "pausing"; readonly stop: StopTimer }
  | { readonly kind: "closed" };

/** What says, before the first message, that there may be no streams: the server may still answer a poll. */
const NO_STREAM: ReadonlySet<string> = new Set(["silent", "not-connect", "cut-off", "unimplemented"]);
/** A stream that lives so long is good, whoever ends it. */
const HEALTHY_AFTER_MS = 10_000;
/** So many streams in a row that were cut off sooner are a proxy's doing. */
const MAX_CUT_OFF = 3;
/** The longest pause that a server may ask for. */
const MAX_RETRY_AFTER_MS = 300_000;

/**
 * Brings the answers for one context, then what changes. Where a stream is held back or cut off again and again, it polls, and
 * tries a stream from time to time.
 */
export class EvaluationLink {
  readonly #parts: LinkParts;
  #state: LinkState = { kind: "idle" };
  /** Attempts in a row that failed. */
  #failures = 0;
  /** Streams in a row that were cut off young. */
  #cutOff = 0;
  /** Polls until then; undefined while it streams. */
  #pollUntilMs: number | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  open(): void {
    if (this.#state.kind === "closed") return;
    const { clock } = this.#parts.settings;
    const startedAtMs = clock.monotonicMs();
    const step = this.#step(startedAtMs);
    const attempt: Attempt = {
      step,
      abort: new AbortController(),
      startedAtMs,
      stopWatchdog: () => {},
      hasSpoken: false,
      retryAfterMs: undefined,
    };
    this.#state = { kind: "attempting", attempt };
    this.#watch(attempt);
    void (step === "stream" ? this.#stream(attempt) : this.#poll(attempt));
  }

  /** The network is another than when the last attempts failed: the pause need not be as long as these have made it. */
  hurry(): void {
    if (this.#state.kind !== "pausing" || this.#failures === 0) return;
    const { backoff, random } = this.#parts.settings;
    this.#state.stop();
    this.#failures = 0;
    this.#pause(backoffDelayMs(0, backoff, random));
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "pausing") state.stop();
    if (state.kind === "attempting") drop(state.attempt);
  }

  #step(nowMs: number): Step {
    if (this.#parts.settings.follow !== "stream") return "poll";
    return nowMs < (this.#pollUntilMs ?? 0) ? "poll" : "stream";
  }

  /** Never rejects. */
  async #stream(attempt: Attempt): Promise<void> {
    const { client, request } = this.#parts;
    // A long message on its way over a slow line is no silence.
    const onBytes = (): void => {
      if (this.#isCurrent(attempt)) this.#watch(attempt);
    };
    try {
      for await (const message of client.watchEvaluations(request, attempt.abort.signal, onBytes)) {
        if (!this.#isCurrent(attempt)) return;
        attempt.hasSpoken = true;
        this.#watch(attempt);
        this.#receive(attempt, message);
      }
    } catch (thrown) {
      this.#end(attempt, thrown);
    }
  }

  #receive(attempt: Attempt, message: unknown): void {
    const { listener } = this.#parts;
    const { update, goodbye } = isRecord(message) ? message : {};
    if (goodbye !== undefined) {
      // Protobuf's JSON has seconds, such as `1.250s`.
      const retryAfterMs = Number.parseFloat(textOf(isRecord(goodbye) ? goodbye.retryAfter : "")) * 1_000;
      attempt.retryAfterMs = Math.min(retryAfterMs || 0, MAX_RETRY_AFTER_MS);
      return;
    }
    this.#failures = 0;
    this.#pollUntilMs = undefined;
    if (update !== undefined) listener.update(parseUpdate(update));
  }

  /** Never rejects. */
  async #poll(attempt: Attempt): Promise<void> {
    const { client, request, listener, settings } = this.#parts;
    try {
      const json = await client.bulkEvaluate(request, attempt.abort.signal);
      if (!this.#isCurrent(attempt)) return;
      drop(attempt);
      this.#failures = 0;
      // Before anybody is told, who may close this.
      if (settings.follow === false) this.#state = { kind: "idle" };
      else this.#pause(settings.times.pollIntervalMs * (0.5 + settings.random() / 2));
      listener.update(parseUpdate(json, true));
    } catch (thrown) {
      this.#end(attempt, thrown);
    }
  }

  #watch(attempt: Attempt): void {
    const { clock, times } = this.#parts.settings;
    attempt.stopWatchdog();
    const streamMs = attempt.hasSpoken ? times.silenceTimeoutMs : times.firstMessageTimeoutMs;
    const afterMs = attempt.step === "poll" ? times.callTimeoutMs : streamMs;
    const silent = new CallError("silent", `nothing came for ${afterMs} ms`);
    attempt.stopWatchdog = clock.after(afterMs, () => this.#end(attempt, silent));
  }

  #end(attempt: Attempt, thrown: unknown): void {
    if (!this.#isCurrent(attempt)) return;
    drop(attempt);
    const { settings, listener } = this.#parts;
    const error = thrown instanceof CallError ? thrown : new CallError("not-connect", messageOf(thrown));
    const isHeldBack = this.#isHeldBack(attempt, error);
    const pauseMs = Math.max(
      attempt.retryAfterMs ?? 0,
      backoffDelayMs(attempt.retryAfterMs === undefined ? this.#failures++ : 0, settings.backoff, settings.random),
    );
    if (isHeldBack) this.#pollUntilMs = settings.clock.monotonicMs() + settings.times.streamRetryMs;
    else if (attempt.step === "poll") this.#pollFailed();
    this.#pause(isHeldBack ? 0 : pauseMs);
    if (!isHeldBack) listener.lost(error);
  }

  /** So it was not the streams' fault. */
  #pollFailed(): void {
    this.#pollUntilMs = undefined;
    this.#cutOff = 0;
  }

  /** Whether it is something on the way that does not let streams through, as far as one can tell. */
  #isHeldBack({ step, hasSpoken, retryAfterMs, startedAtMs }: Attempt, { code }: CallError): boolean {
    if (step === "poll" || retryAfterMs !== undefined) return false;
    if (!hasSpoken) return NO_STREAM.has(code);
    const isYoung = this.#parts.settings.clock.monotonicMs() - startedAtMs < HEALTHY_AFTER_MS;
    this.#cutOff = isYoung ? this.#cutOff + 1 : 0;
    return this.#cutOff >= MAX_CUT_OFF;
  }

  #pause(pauseMs: number): void {
    this.#state = { kind: "pausing", stop: this.#parts.settings.clock.after(pauseMs, () => this.open()) };
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#state.kind === "attempting" && this.#state.attempt === attempt;
  }
}

function drop({ stopWatchdog, abort }: Attempt): void {
  stopWatchdog();
  abort.abort();
}
