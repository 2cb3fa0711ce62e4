import type { Clock, StopTimer } from "../../base/index.js";
import type { Announcements } from "./announcements.js";

/** What a stream that follows the head learns when it asks. */
export type HeadNews<T> =
  /** It is another than last time, and was `before` then: undefined the first time. */
  | { readonly kind: "moved"; readonly now: T; readonly before: T | undefined }
  /** Nothing was told for as long as the stream may be silent. */
  | { readonly kind: "silence" }
  /** What was followed is gone, such as the environment. The last news. */
  | { readonly kind: "gone" }
  /** The server shuts down. The last news. */
  | { readonly kind: "closing" };

/** What a stream follows, and how. */
export interface HeadCursorOptions<T> {
  readonly announcements: Announcements;
  readonly clock: Clock;
  /** Reads what is followed, an immutable value that is another one when anything has changed; undefined if it is gone. */
  readonly read: () => T | undefined;
  /** How long nothing may be told, in milliseconds. */
  readonly silenceMs: number;
}

/**
 * A place in what the head was and is, such as the snapshot of one environment: what it held when the stream last asked.
 * Never a queue, so a slow stream skips what came between.
 */
export class HeadCursor<T extends object> {
  readonly #options: HeadCursorOptions<T>;
  readonly #onNews: () => void;
  readonly #unsubscribe: () => void;
  #stopTimer: StopTimer | undefined;
  #last: T | undefined;
  #isSilent = false;
  #isAsked = false;
  #ended = false;

  /** `onNews` is called once after `next` had nothing, when it may have something. It must not throw. */
  constructor(options: HeadCursorOptions<T>, onNews: () => void) {
    this.#options = options;
    this.#onNews = onNews;
    this.#unsubscribe = options.announcements.subscribe(() => this.#wake());
    this.told();
  }

  /** The last news was given, or it was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What there is to tell; undefined if there is nothing. Ask until it is undefined: only then is there a call when there is. */
  next(): HeadNews<T> | undefined {
    const news = this.#ended ? undefined : this.#read();
    this.#isAsked = news === undefined;
    return news;
  }

  /** Something was sent: the silence begins anew. Not every move is worth a message. */
  told(): void {
    this.#stopTimer?.();
    this.#isSilent = false;
    this.#stopTimer = this.#options.clock.after(this.#options.silenceMs, () => {
      this.#isSilent = true;
      this.#wake();
    });
  }

  /** Lets go of everything. */
  close(): void {
    this.#ended = true;
    this.#last = undefined;
    this.#stopTimer?.();
    this.#unsubscribe();
  }

  #read(): HeadNews<T> | undefined {
    const { announcements, read } = this.#options;
    if (announcements.ended) return this.#end("closing");
    const now = read();
    if (now === undefined) return this.#end("gone");
    const before = this.#last;
    if (now !== before) {
      this.#last = now;
      return { kind: "moved", now, before };
    }
    if (!this.#isSilent) return undefined;
    this.told();
    return { kind: "silence" };
  }

  #end(kind: "closing" | "gone"): HeadNews<T> {
    this.close();
    return { kind };
  }

  #wake(): void {
    if (!this.#isAsked || this.#ended) return;
    this.#isAsked = false;
    this.#onNews();
  }
}
