import type { Clock, StopTimer } from "../base/index.js";
import { MirrorError } from "./mirror-error.js";

/** Settings of an opening; MirrorOptions has their reasons. */
export interface OpeningOptions {
  readonly clock: Clock;
  /** The server, for messages. */
  readonly address: string;
  /** Whether there is a snapshot to begin with. */
  readonly hasFallback: boolean;
  /** Why a cache or bootstrap that was given is not one, for messages. */
  readonly ignored?: string | undefined;
  readonly connectTimeoutMs: number;
  readonly fallbackAfterMs: number;
}

/**
 * Decides when a mirror counts as open: at its first sync; with a kept snapshot also as soon as the server turns out to
 * be away, or slow. It fails where the server refuses, and where it stays away and there is nothing to begin with.
 */
export class Opening {
  readonly done: Promise<void>;
  readonly #options: OpeningOptions;
  readonly #stopTimer: StopTimer;
  #resolve: () => void = () => {};
  #reject: (error: MirrorError) => void = () => {};
  #lastError: MirrorError | undefined;

  constructor(options: OpeningOptions) {
    this.#options = options;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not wait for the opening learns of errors by events.
    this.done.catch(() => {});
    const timeoutMs = options.hasFallback ? options.fallbackAfterMs : options.connectTimeoutMs;
    this.#stopTimer = options.clock.after(timeoutMs, () => this.#timeOut());
  }

  synced(): void {
    this.#stopTimer();
    this.#resolve();
  }

  /** An attempt failed. */
  failed(error: MirrorError): void {
    this.#lastError = error;
    if (error.kind === "refused") this.abandon(error);
    else if (this.#options.hasFallback) this.synced();
  }

  abandon(error: MirrorError): void {
    this.#stopTimer();
    this.#reject(error);
  }

  #timeOut(): void {
    if (this.#options.hasFallback) this.synced();
    else this.abandon(this.#unreachable());
  }

  #unreachable(): MirrorError {
    const { address, connectTimeoutMs, ignored } = this.#options;
    const cause = this.#lastError === undefined ? "" : ` (${this.#lastError.message})`;
    const message =
      `no flags from ${address} within ${connectTimeoutMs / 1000} s${cause}. Check that the server runs there (flagwire serve) ` +
      `and that nothing in between blocks it. ${ignored ?? "To start without a server, give a cache or a bootstrap."}`;
    return new MirrorError("connection", message, { cause: this.#lastError });
  }
}
