import type { Clock, StopTimer } from "../../base/index.js";

/** A stream that may be writing. */
export interface WritingStream {
  /** Since when what was written last waits to be taken, on the clock's monotonic time; undefined while nothing does. */
  readonly writingSinceMs: number | undefined;
  /** Called when that is too long. */
  stalled(): void;
}

/** How often in the time that a client has. */
const SWEEPS = 8;

/** Finds the streams whose clients do not read, by one look at all of them now and then: a timer each would be many. */
export class StreamSweep {
  readonly #clock: Clock;
  readonly #stallTimeoutMs: number;
  readonly #streams = new Set<WritingStream>();
  #stopTimer: StopTimer | undefined;

  constructor(clock: Clock, stallTimeoutMs: number) {
    this.#clock = clock;
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  add(stream: WritingStream): void {
    this.#streams.add(stream);
    this.#stopTimer ??= this.#startTimer();
  }

  delete(stream: WritingStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #startTimer(): StopTimer {
    return this.#clock.after(this.#stallTimeoutMs / SWEEPS, () => {
      this.#stopTimer = this.#startTimer();
      const latestMs = this.nowMs() - this.#stallTimeoutMs;
      for (const stream of this.#streams) {
        const sinceMs = stream.writingSinceMs;
        if (sinceMs !== undefined && sinceMs <= latestMs) stream.stalled();
      }
    });
  }
}
