import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ReportUsageRequest, ReportUsageRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock, Random, StopTimer } from "../base/index.js";
import { messageOf } from "./mirror-error.js";
import type { MirrorLogEntry } from "./mirror-options.js";
import { TransportError } from "./transport.js";
import type { FlagUsage } from "./usage.js";

/** Settings of a reporter. */
export interface UsageReporterOptions {
  readonly environment: string;
  readonly clientName: string;
  /** See MirrorTransport. */
  readonly send: (request: ReportUsageRequest, signal: AbortSignal) => Promise<void>;
  /** Takes at most so many of the counts since the last time. */
  readonly take: (maxCount: number) => FlagUsage[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (entry: MirrorLogEntry) => void;
  /** The server, for messages. */
  readonly address: string;
}

/** As many as the server takes in one report. */
const MAX_COUNTS = 5_000;
const SEND_TIMEOUT_MS = 10_000;
/** After the server said that it knows no reports, or that this mirror may not make any. */
const REFUSED_PAUSE_MS = 3_600_000;

/**
 * Reports usage in the background. What was sent without an answer is sent again as it was, with the same id, so that it is
 * counted once; meanwhile counts add up where they are counted. Never throws.
 */
export class UsageReporter {
  readonly #options: UsageReporterOptions;
  /** The report whose outcome is not known. */
  #pending: ReportUsageRequest | undefined;
  #sinceMs: number;
  #stopTimer: StopTimer | undefined;
  #sending: AbortController | undefined;
  #isFailing = false;
  #isClosed = false;

  constructor(options: UsageReporterOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.now();
  }

  start(): void {
    this.#pause(this.#options.intervalMs);
  }

  /** Stops, and reports what is left unless that takes longer than `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    this.#sending?.abort();
    const timeUp = new AbortController();
    const stopTimer = this.#options.clock.after(timeoutMs, () => timeUp.abort());
    try {
      while (this.#hasReport()) await this.#send(timeUp.signal);
    } catch (error) {
      this.#failed(error);
    } finally {
      stopTimer();
    }
  }

  /** Spread by a half either way, so that mirrors that were started together do not report together. */
  #pause(intervalMs: number): void {
    const { clock, random } = this.#options;
    this.#stopTimer = clock.after(intervalMs * (0.5 + random()), () => void this.#report());
  }

  async #report(): Promise<void> {
    const { clock, intervalMs } = this.#options;
    const sending = new AbortController();
    this.#sending = sending;
    let stopTimer = (): void => {};
    let pauseMs = intervalMs;
    try {
      while (!this.#isClosed && this.#hasReport()) {
        stopTimer = clock.after(SEND_TIMEOUT_MS, () => sending.abort());
        await this.#send(sending.signal);
        stopTimer();
      }
    } catch (error) {
      stopTimer();
      if (!this.#isClosed) pauseMs = this.#failed(error);
    }
    if (!this.#isClosed) this.#pause(pauseMs);
  }

  /** Makes one of what was counted, if the last one is settled. */
  #hasReport(): boolean {
    if (this.#pending !== undefined) return true;
    const { environment, clientName, clock, take } = this.#options;
    const counts = take(MAX_COUNTS);
    if (counts.length === 0) return false;
    // The clock may have been set back meanwhile.
    const endMs = clock.now();
    const startMs = Math.min(this.#sinceMs, endMs);
    this.#sinceMs = endMs;
    this.#pending = create(ReportUsageRequestSchema, {
      environment,
      clientName,
      reportId: randomUUID(),
      startTime: timestampFromMs(startMs),
      endTime: timestampFromMs(endMs),
      counts: counts.map(({ flagKey, variant = "", revision, count }) => ({
        flagKey,
        variant,
        revision: BigInt(revision),
        count: BigInt(count),
      })),
    });
    return true;
  }

  /** Sends the pending report. Throws where its outcome is bad or unknown. */
  async #send(signal: AbortSignal): Promise<void> {
    const report = this.#pending;
    if (report === undefined) return;
    await withSignal(this.#options.send(report, signal), signal);
    if (this.#pending === report) this.#pending = undefined;
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#log("info", `usage is reported to ${this.#options.address} again`);
  }

  /** Returns how long to wait before the next one. */
  #failed(error: unknown): number {
    const { address, intervalMs } = this.#options;
    const code = error instanceof TransportError ? error.code : "UNKNOWN";
    // As it is it would be refused for ever.
    if (code === "INVALID_ARGUMENT") this.#pending = undefined;
    const isRefused = code === "UNIMPLEMENTED" || code === "PERMISSION_DENIED";
    if (!this.#isFailing) {
      this.#isFailing = true;
      this.#log("warn", `usage cannot be reported to ${address}: ${messageOf(error)}`, error);
    }
    return isRefused ? REFUSED_PAUSE_MS : intervalMs;
  }

  #log(level: MirrorLogEntry["level"], message: string, cause?: unknown): void {
    this.#options.log({ level, message, ...(cause !== undefined && { cause }) });
  }
}

/** Settles as the promise does, or rejects when the signal aborts: a transport may be anybody's. */
async function withSignal(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let letGo = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(new TransportError("DEADLINE_EXCEEDED", "it took too long"));
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    letGo = () => signal.removeEventListener("abort", abort);
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    letGo();
  }
}
