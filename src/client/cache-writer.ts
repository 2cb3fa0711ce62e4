import type { Clock, StopTimer } from "../base/index.js";
import type { Snapshot } from "../engine/index.js";
import type { MirrorCache } from "./cache.js";
import { toKept } from "./kept-snapshot.js";

/** Settings of a cache writer. */
export interface CacheWriterOptions {
  readonly cache: MirrorCache;
  readonly clock: Clock;
  /** How long changes are collected before they are written, in milliseconds. */
  readonly delayMs: number;
  readonly failed: (error: unknown) => void;
}

/** Keeps the newest snapshot in a cache: the first one at once, then a burst of changes as one, and one write at a time. */
export class CacheWriter {
  readonly #options: CacheWriterOptions;
  #pending: Snapshot | undefined;
  #stopTimer: StopTimer | undefined;
  #writing: Promise<void> | undefined;
  #hasWritten = false;

  constructor(options: CacheWriterOptions) {
    this.#options = options;
  }

  write(snapshot: Snapshot): void {
    this.#pending = snapshot;
    const delayMs = this.#hasWritten ? this.#options.delayMs : 0;
    this.#hasWritten = true;
    if (delayMs === 0) void this.flush();
    else this.#stopTimer ??= this.#options.clock.after(delayMs, () => void this.flush());
  }

  /** Writes what is not written yet and waits for it. Never rejects. */
  async flush(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#pending !== undefined) {
      const snapshot = this.#pending;
      this.#pending = undefined;
      try {
        await this.#options.cache.save(toKept(snapshot));
      } catch (error) {
        this.#options.failed(error);
      }
    }
  }
}
