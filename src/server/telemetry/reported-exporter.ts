import type { Logger } from "pino";
import type { Clock } from "../../base/index.js";

/** What an exporter says of a batch; 0 is success. */
export interface ExportResult {
  readonly code: number;
  readonly error?: Error;
}

/** What the exporters of all signals have in common. */
export interface Exporter<T> {
  export(items: T[], done: (result: ExportResult) => void): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface ReportOptions {
  /** What is exported, for the log: `traces`. */
  readonly signal: string;
  /** Where to, for the log. */
  readonly url: string;
  readonly log: Logger;
  readonly clock: Clock;
}

/** An endpoint that is away is away for many batches: the log hears of it this often. */
const REPORT_EVERY_MS = 60_000;

/** An exporter whose failures are logged: the first at once, further ones together now and then, and that it works again. */
export class ReportedExporter<T> implements Exporter<T> {
  readonly #exporter: Exporter<T>;
  readonly #options: ReportOptions;
  /** Items that were given up since the log was told last. */
  #lost = 0;
  /** Undefined while it works. */
  #toldMs: number | undefined;

  constructor(exporter: Exporter<T>, options: ReportOptions) {
    this.#exporter = exporter;
    this.#options = options;
  }

  export(items: T[], done: (result: ExportResult) => void): void {
    this.#exporter.export(items, (result) => {
      if (result.code === 0) this.#succeeded();
      else this.#failed(items.length, result.error);
      done(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #succeeded(): void {
    if (this.#toldMs === undefined) return;
    const { signal, url, log } = this.#options;
    this.#toldMs = undefined;
    log.info({ url, lost: this.#lost }, `${signal} are exported again`);
    this.#lost = 0;
  }

  #failed(count: number, error: Error | undefined): void {
    const { signal, url, log, clock } = this.#options;
    this.#lost += count;
    const nowMs = clock.monotonicMs();
    if (this.#toldMs !== undefined && nowMs - this.#toldMs < REPORT_EVERY_MS) return;
    this.#toldMs = nowMs;
    log.warn({ url, lost: this.#lost, why: error && whyOf(error) }, `${signal} cannot be exported`);
    this.#lost = 0;
  }
}

/** Not the error itself: it may hold what the endpoint answered. */
export function whyOf(error: Error & { readonly code?: unknown }): string {
  const { message, code } = error;
  return code === undefined || message.includes(String(code)) ? message : `${message} (${code})`;
}
