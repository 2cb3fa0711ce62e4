import { type Clock, type Random, type StopTimer, settlesInTime } from "../../base/index.js";
import type { Context, CountedOutcome, Snapshot } from "../../engine/index.js";
import type { AnswerObserver } from "../usage/answer-observer.js";
import { type Decision, toDecision, toShownContext } from "./decision.js";

/** Where decisions go. */
export interface DecisionSink {
  /** Resolves when they are written. Rejects where they are lost. */
  write(decisions: readonly Decision[]): Promise<void>;
  close(): Promise<void>;
}

export interface DecisionLogParts {
  readonly sink: DecisionSink;
  /** The share of answers that is written, 0 to 1. */
  readonly sample: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of losses, now and then. */
  readonly warn: (message: string, cause: unknown) => void;
}

const FLUSH_INTERVAL_MS = 1_000;
/** In one write, and characters of their contexts: collectors refuse large requests, and making one keeps calls waiting. */
const MAX_BATCH = 1_000;
const MAX_BATCH_LENGTH = 1_048_576;
/** That wait, and characters of their contexts: beyond it they are lost, for calls do not wait for a disk or a network. */
const MAX_WAITING = 10_000;
const MAX_WAITING_LENGTH = 16_777_216;
const WARN_INTERVAL_MS = 60_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** A context, as it is shown where that snapshot answers. */
interface ContextText {
  readonly context: Context;
  readonly snapshot: Snapshot;
  readonly text: string | undefined;
}

/** Writes a sample of the answers of this process, in the background and within a bound. */
export class DecisionLog implements AnswerObserver {
  readonly #parts: DecisionLogParts;
  #waiting: Decision[] = [];
  /** What came last: the answers to one request come one after the other. */
  #last: ContextText | undefined;
  #waitingLength = 0;
  #stopTimer: StopTimer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #isClosed = false;
  #warnedMs = Number.NEGATIVE_INFINITY;
  #written = 0;
  #lost = 0;
  /** Neither written nor lost yet. */
  #unsettled = 0;

  constructor(parts: DecisionLogParts) {
    this.#parts = parts;
  }

  /** How many were written, and how many lost. */
  get counts(): { readonly written: number; readonly lost: number } {
    return { written: this.#written, lost: this.#lost };
  }

  answered(outcome: CountedOutcome, snapshot: Snapshot, context: Context): void {
    const { sample, random, clock } = this.#parts;
    if (sample < 1 && random() >= sample) return;
    if (this.#waiting.length >= MAX_WAITING || this.#waitingLength >= MAX_WAITING_LENGTH || this.#isClosed) {
      this.#lost++;
      return;
    }
    const decision = toDecision(outcome, snapshot, this.#textOf(snapshot, context), clock.now());
    this.#waitingLength += decision.context?.length ?? 0;
    this.#unsettled++;
    if (this.#waiting.push(decision) === MAX_BATCH) this.#hurry();
    this.#schedule();
  }

  /** Writes what waits, for two seconds at the most. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    const finished = this.#writing.then(() => this.#write()).then(() => this.#parts.sink.close());
    await settlesInTime(finished, CLOSE_TIMEOUT_MS, this.#parts.clock);
    if (this.#unsettled > 0) {
      this.#parts.warn(`${this.#unsettled} decisions could not be written before the end`, undefined);
    }
  }

  /** Of a request for thousands of flags, its context is made text once. */
  #textOf(snapshot: Snapshot, context: Context): string | undefined {
    const last = this.#last;
    if (last?.context === context && last.snapshot === snapshot) return last.text;
    const text = toShownContext(snapshot, context);
    this.#last = { context, snapshot, text };
    return text;
  }

  #hurry(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #schedule(): void {
    if (this.#stopTimer !== undefined || this.#isWriting || this.#isClosed || this.#waiting.length === 0) return;
    const delayMs = this.#waiting.length >= MAX_BATCH ? 0 : FLUSH_INTERVAL_MS;
    this.#stopTimer = this.#parts.clock.after(delayMs, () => {
      this.#stopTimer = undefined;
      this.#isWriting = true;
      this.#writing = this.#write().finally(() => {
        this.#isWriting = false;
        this.#schedule();
      });
    });
  }

  async #write(): Promise<void> {
    this.#last = undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#parts.sink.write(batch);
        this.#written += batch.length;
      } catch (cause) {
        this.#lost += batch.length;
        this.#warn(cause);
      }
      this.#unsettled -= batch.length;
    }
  }

  #takeBatch(): Decision[] {
    let count = 0;
    let length = 0;
    for (const { context } of this.#waiting) {
      const grown = length + (context?.length ?? 0);
      if (count === MAX_BATCH || (count > 0 && grown > MAX_BATCH_LENGTH)) break;
      length = grown;
      count++;
    }
    this.#waitingLength -= length;
    return this.#waiting.splice(0, count);
  }

  #warn(cause: unknown): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#warnedMs < WARN_INTERVAL_MS) return;
    this.#warnedMs = nowMs;
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#parts.warn(`decisions cannot be written, ${this.#lost} are lost so far: ${message}`, cause);
  }
}
