import { type Clock, type StopTimer, settlesInTime } from "../../base/index.js";
import type { SideChange, SideTable } from "../../store/index.js";

/** How long what was noted is in memory alone, about. */
const WRITE_INTERVAL_MS = 4_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** In one transaction: what costs the event loop some milliseconds. */
const MAX_ROWS = 250;

/** Writes rows in the background, each in its newest state. It holds as many as there are keys. */
export class RowWriter {
  readonly #side: SideTable;
  readonly #clock: Clock;
  readonly #noted = new Map<string, string | undefined>();
  #stopTimer: StopTimer | undefined;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(side: SideTable, clock: Clock) {
    this.#side = side;
    this.#clock = clock;
  }

  note([key, text]: SideChange): void {
    this.#noted.set(key, text);
    this.#schedule(WRITE_INTERVAL_MS);
  }

  /** Writes what there is as soon as possible. */
  hurry(): void {
    if (this.#writing !== undefined) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#schedule(0);
  }

  /** Writes what is left, unless the disk hangs: that must not keep a server from ending. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    const writing = this.#writing ?? Promise.resolve();
    const written = writing.then(() => this.#write());
    await settlesInTime(written, CLOSE_TIMEOUT_MS, this.#clock);
  }

  #schedule(delayMs: number): void {
    if (this.#stopTimer !== undefined || this.#writing !== undefined || this.#isClosed) return;
    if (this.#noted.size === 0) return;
    this.#stopTimer = this.#clock.after(delayMs, () => {
      this.#stopTimer = undefined;
      this.#writing = this.#write().then(() => {
        this.#writing = undefined;
        this.#schedule(WRITE_INTERVAL_MS);
      });
    });
  }

  /** What a full disk refuses stays for the next time, unless it is out of date by then. */
  async #write(): Promise<void> {
    while (this.#noted.size > 0) {
      const batch = [...this.#noted].slice(0, MAX_ROWS);
      for (const [key] of batch) this.#noted.delete(key);
      if (await this.#side.write(batch)) continue;
      for (const [key, text] of batch) if (!this.#noted.has(key)) this.#noted.set(key, text);
      return;
    }
  }
}
