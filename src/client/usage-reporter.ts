import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ReportUsageRequest,
  ReportUsageRequestSchema,
  type ReportUsageResponse,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock, Random, StopTimer } from "../base/index.js";
import type { ContextSamples } from "./context-samples.js";
import { messageOf } from "./mirror-error.js";
import type { MirrorLogEntry } from "./mirror-options.js";
import { TransportError } from "./transport.js";
import type { FlagUsage } from "./usage.js";

/** Settings of a reporter. */
export interface UsageReporterOptions {
  readonly environment: string;
  readonly clientName: string;
  /** See MirrorTransport. */
  readonly send: (request: ReportUsageRequest, signal: AbortSignal) => Promise<ReportUsageResponse>;
  /** Takes at most so many of the counts since the last time. */
  readonly take: (maxCount: number) => FlagUsage[];
  /** Contexts to send where the server wants some. Undefined: none are sent. */
  readonly samples: ContextSamples | undefined;
  readonly intervalMs: number;
  /** See MirrorParts. */
  readonly createId: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (entry: MirrorLogEntry) => void;
  /** The server, for messages. */
  readonly address: string;
}

/** In one report: a fifth of what the server takes, so that proxies with small limits let it through. */
const MAX_COUNTS = 1_000;
/** No report is so large that it has to be divided further. */
const MIN_COUNTS = 50;
/** In one report, whatever a server wants. */
const MAX_CONTEXTS = 50;
/** The server takes no higher count of a variant; what is above it, after days of an outage, is lost. */
const MAX_COUNT = 1_000_000_000_000;
const SEND_TIMEOUT_MS = 10_000;
/** After the server said that it knows no reports, or that this mirror may not make any. */
const REFUSED_PAUSE_MS = 3_600_000;

/**
 * Reports usage in the background. What was sent without an answer is sent again as it was, with the same id, so that it is
 * counted once; meanwhile counts add up where they are counted. Never throws.
 */
export class UsageReporter {
  readonly #options: UsageReporterOptions;
  /** Reports that are made and not settled, in order; of the first the outcome may be unknown. */
  #pending: ReportUsageRequest[] = [];
  /** The most counts that get through, as far as is known. */
  #maxCounts = MAX_COUNTS;
  #maxContexts = MAX_CONTEXTS;
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
    if (this.#pending.length > 0) return true;
    const { environment, clientName, clock, createId, take, samples } = this.#options;
    const counts = take(this.#maxCounts);
    if (counts.length === 0) return false;
    // The clock may have been set back meanwhile.
    const endMs = clock.now();
    const startMs = Math.min(this.#sinceMs, endMs);
    this.#sinceMs = endMs;
    const report = create(ReportUsageRequestSchema, {
      environment,
      clientName,
      reportId: createId(),
      startTime: timestampFromMs(startMs),
      endTime: timestampFromMs(endMs),
      counts: counts.map(({ flagKey, variant = "", revision, count }) => ({
        flagKey,
        variant,
        revision: BigInt(revision),
        count: BigInt(Math.min(count, MAX_COUNT)),
      })),
      contexts: samples?.take() ?? [],
    });
    this.#pending.push(report);
    return true;
  }

  /** Sends the first of the pending reports. Throws where its outcome is bad or unknown. */
  async #send(signal: AbortSignal): Promise<void> {
    const [report] = this.#pending;
    if (report === undefined) return;
    try {
      // A transport of somebody's own may answer nothing.
      const answer: Partial<ReportUsageResponse> | undefined = await withSignal(
        this.#options.send(report, signal),
        signal,
      );
      this.#options.samples?.want(Math.min(answer?.wantedContexts ?? 0, this.#maxContexts));
    } catch (error) {
      if (isForItsContexts(report, error)) this.#leaveOutContexts(report);
      else if (isTooLarge(report, error)) this.#divide(report);
      else throw error;
      return;
    }
    if (this.#pending[0] === report) this.#pending.shift();
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#log("info", `usage is reported to ${this.#options.address} again`);
  }

  /** The counts matter more. Nothing of the report was counted, so it keeps its id. Later ones carry fewer. */
  #leaveOutContexts(report: ReportUsageRequest): void {
    if (this.#pending[0] !== report) return;
    this.#maxContexts = Math.floor(report.contexts.length / 2);
    this.#pending[0] = { ...report, contexts: [] };
  }

  /** Two reports of one that was refused for its size, so that nothing of it was counted. Later ones are as small. */
  #divide(report: ReportUsageRequest): void {
    if (this.#pending[0] !== report) return;
    const { counts } = report;
    const middle = Math.ceil(counts.length / 2);
    this.#maxCounts = Math.min(this.#maxCounts, middle);
    const halves = [counts.slice(0, middle), counts.slice(middle)].map((half) => ({
      ...report,
      reportId: this.#options.createId(),
      counts: half,
    }));
    this.#pending.splice(0, 1, ...halves);
  }

  /** Returns how long to wait before the next one. */
  #failed(error: unknown): number {
    const { address, intervalMs } = this.#options;
    const code = error instanceof TransportError ? error.code : "UNKNOWN";
    // As it is it would be refused for ever.
    if (code === "INVALID_ARGUMENT") this.#pending.shift();
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

/** Whether the server, or somebody in between, has refused the report for its size, and a smaller one may be better off. */
function isTooLarge({ counts }: ReportUsageRequest, error: unknown): boolean {
  return isForItsSize(error) && counts.length > MIN_COUNTS;
}

/** Whether the report may have been refused for the contexts that it carries. */
function isForItsContexts({ contexts }: ReportUsageRequest, error: unknown): boolean {
  if (contexts.length === 0 || !(error instanceof TransportError)) return false;
  return isForItsSize(error) || error.code === "INVALID_ARGUMENT";
}

/** A token's rate is no size: more calls, with less in each, would only be refused again. */
function isForItsSize(error: unknown): boolean {
  return (
    error instanceof TransportError && error.code === "RESOURCE_EXHAUSTED" && error.reason !== "CALL_RATE_EXCEEDED"
  );
}

/** Settles as the promise does, or rejects when the signal aborts: a transport may be anybody's. */
async function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let letGo = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(new TransportError("DEADLINE_EXCEEDED", "it took too long"));
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    letGo = () => signal.removeEventListener("abort", abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    letGo();
  }
}
