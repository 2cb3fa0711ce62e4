import type { Random } from "../base/index.js";

/** One way to be brought up to date. A poll is a stream that ends after its first update. */
export type Step = "stream" | "poll";

/**
 * Which way updates come:
 * - `streaming`: streams work, as far as is known. When some in a row have ended badly, every second attempt is a poll.
 * - `doubting`: a poll has worked where streams had not; one more stream is tried.
 * - `polling`: that one ended badly too. Now and then a stream is tried in a poll's place.
 */
type DeliveryState =
  | { readonly kind: "streaming"; readonly badStreams: number; readonly last: Step }
  | { readonly kind: "doubting" }
  | { readonly kind: "polling"; readonly failedPolls: number; readonly streamAtMs: number };

/** So many streams in a row have to end badly before a poll is tried; before the first update, one. */
const MAX_BAD_STREAMS = 2;
/** So many polls in a row have to fail before streams and polls are tried in turns again. */
const MAX_FAILED_POLLS = 3;

/** Settings of a delivery; see LinkOptions. */
export interface DeliveryOptions {
  readonly random: Random;
  readonly streamRetryMs: number;
}

/** Decides whether the next attempt is a stream or a poll. Knows no timers and no network. */
export class Delivery {
  readonly #options: DeliveryOptions;
  #state: DeliveryState = { kind: "streaming", badStreams: 0, last: "stream" };

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** What is relied on. */
  get by(): Step {
    return this.#state.kind === "polling" ? "poll" : "stream";
  }

  /** Whether a poll would work, so that nobody has to wait long for a stream. */
  get canPoll(): boolean {
    return this.#state.kind !== "streaming";
  }

  /** Polls that failed in a row. */
  get failedPolls(): number {
    return this.#state.kind === "polling" ? this.#state.failedPolls : 0;
  }

  next(nowMs: number, wasInStep: boolean): Step {
    const state = this.#state;
    switch (state.kind) {
      case "streaming":
        return state.last === "stream" && state.badStreams >= (wasInStep ? MAX_BAD_STREAMS : 1) ? "poll" : "stream";
      case "doubting":
        return "stream";
      case "polling":
        return nowMs >= state.streamAtMs ? "stream" : "poll";
    }
  }

  pollSucceeded(): void {
    const state = this.#state;
    this.#state = state.kind === "polling" ? { ...state, failedPolls: 0 } : { kind: "doubting" };
  }

  /** A poll ended without an update. */
  pollFailed(): void {
    const state = this.#state;
    if (state.kind === "streaming") this.#state = { ...state, last: "poll" };
    if (state.kind !== "polling") return;
    const failedPolls = state.failedPolls + 1;
    this.#state =
      failedPolls < MAX_FAILED_POLLS
        ? { ...state, failedPolls }
        : { kind: "streaming", badStreams: MAX_BAD_STREAMS, last: "poll" };
  }

  streamWasHealthy(): void {
    this.#state = { kind: "streaming", badStreams: 0, last: "stream" };
  }

  /** A stream ended before it was healthy, and not as servers end theirs. */
  streamWasBad(nowMs: number): void {
    const state = this.#state;
    if (state.kind === "streaming") {
      this.#state = { kind: "streaming", badStreams: state.badStreams + 1, last: "stream" };
    } else {
      this.#state = { kind: "polling", failedPolls: 0, streamAtMs: this.#streamAtMs(nowMs) };
    }
  }

  /** Nobody could be connected to, which says nothing of either way: the one that worked last stays. */
  nobodyThere(nowMs: number): void {
    const state = this.#state;
    if (state.kind !== "polling" || nowMs < state.streamAtMs) return;
    this.#state = { ...state, streamAtMs: this.#streamAtMs(nowMs) };
  }

  /** A stream ended in a way that says nothing of whether streams work. */
  streamWasEnded(): void {
    if (this.#state.kind === "streaming") this.#state = { ...this.#state, last: "stream" };
  }

  /** Spread, so that the mirrors behind one proxy do not all try at once. */
  #streamAtMs(nowMs: number): number {
    const { random, streamRetryMs } = this.#options;
    return nowMs + streamRetryMs * (0.5 + random());
  }
}
