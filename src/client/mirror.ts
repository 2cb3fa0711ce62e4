import { create } from "@bufbuild/protobuf";
import { type WatchRequest, WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { StopTimer } from "../base/index.js";
import type { Snapshot } from "../engine/index.js";
import { CacheWriter } from "./cache-writer.js";
import { ContextSamples } from "./context-samples.js";
import { type Ending, toMirrorError, type Verdict } from "./ending.js";
import { Follower } from "./follower.js";
import { Link } from "./link.js";
import type { Aftermath, LinkHost } from "./link-host.js";
import { Listeners, type Unsubscribe } from "./listeners.js";
import type { Mirror, MirrorCounts, MirrorEvents, MirrorStatus, PinnedFlags } from "./mirror-api.js";
import { MirrorError, messageOf } from "./mirror-error.js";
import type { MirrorParts } from "./mirror-options.js";
import { RevisionWaits, toRevision, type WaitOptions } from "./revision-waits.js";
import { SnapshotFlags } from "./snapshot-flags.js";
import { type Update, UpdateReader } from "./update-reader.js";
import type { FlagUsage } from "./usage.js";
import { UsageReporter } from "./usage-reporter.js";
import { clientVersion } from "./version.js";
import { within } from "./within.js";

/** The freshness of what the mirror holds. Only `ready` has a timer, which makes it stale. */
type Freshness =
  | { readonly status: "connecting" }
  | { readonly status: "ready"; readonly stop: StopTimer }
  | { readonly status: "stale" }
  | { readonly status: "closed" };

/** Who waits for a mirror to open. */
export interface OpeningObserver {
  synced(): void;
  failed(error: MirrorError): void;
}

/** The mirror itself, without anything of a platform. */
export class SnapshotMirror extends SnapshotFlags implements Mirror, LinkHost {
  readonly #parts: MirrorParts;
  readonly #follower: Follower;
  readonly #samples: ContextSamples;
  readonly #link: Link;
  readonly #listeners: Listeners<MirrorEvents>;
  readonly #cacheWriter: CacheWriter | undefined;
  readonly #waits: RevisionWaits;
  readonly #reporter: UsageReporter | undefined;
  readonly #counts = { fulls: 0, deltas: 0, nones: 0, resyncs: 0 };
  #observer: OpeningObserver | undefined;
  #freshness: Freshness = { status: "connecting" };
  #reader = new UpdateReader();
  #closing: Promise<void> | undefined;

  constructor(parts: MirrorParts) {
    const { environment, transport, clock, random, backoff, cache, times, privateAttributes } = parts;
    const follower = new Follower(environment);
    const hidden = (): readonly string[] => [...follower.snapshot.privateAttributes, ...privateAttributes];
    const samples = new ContextSamples(random, hidden);
    super(follower, clock, privateAttributes, follower, samples);
    this.#parts = parts;
    this.#follower = follower;
    this.#samples = samples;
    const { connectTimeoutMs, firstMessageTimeoutMs, staleAfterMs } = times;
    // Of the time to open, a half: there has to be enough left for a poll.
    const doubtTimeoutMs = Math.min(firstMessageTimeoutMs, connectTimeoutMs / 2);
    const timeouts = { ...times, doubtTimeoutMs, silenceTimeoutMs: staleAfterMs };
    this.#link = new Link({ transport, clock, random, backoff, ...timeouts }, this);
    this.#waits = new RevisionWaits(clock, () => `the mirror is ${this.status}, at revision ${this.revision}`);
    this.#reporter = createReporter(parts, follower, samples);
    this.#listeners = new Listeners((event, error) => this.#listenerFailed(event, error));
    if (cache !== undefined) {
      const failed = (error: unknown): void =>
        this.report(new MirrorError("cache", `the cache cannot be written: ${messageOf(error)}`, { cause: error }));
      this.#cacheWriter = new CacheWriter({ cache, clock, delayMs: times.cacheDelayMs, failed });
    }
  }

  get environment(): string {
    return this.#parts.environment;
  }

  /** See Follower.hasData. */
  get hasData(): boolean {
    return this.#follower.hasData;
  }

  get isAwaited(): boolean {
    return this.#observer !== undefined && !this.#follower.hasData;
  }

  get isHurried(): boolean {
    return this.#waits.size > 0;
  }

  get status(): MirrorStatus {
    return this.#freshness.status;
  }

  get digest(): string {
    return this.#follower.snapshot.digest;
  }

  get counts(): MirrorCounts {
    return { attempts: this.#link.attempts, polls: this.#link.polls, ...this.#counts };
  }

  get delivery(): "stream" | "poll" {
    return this.#link.delivery;
  }

  pinned(): PinnedFlags {
    const { clock, privateAttributes } = this.#parts;
    return new SnapshotFlags(this.#follower.pinned(), clock, privateAttributes, this.#follower, this.#samples);
  }

  takeUsage(): FlagUsage[] {
    return this.#follower.takeUsage();
  }

  async waitFor(revision: number | bigint | string, options?: WaitOptions): Promise<void> {
    const wanted = toRevision(revision);
    if (!this.#waits.has(wanted)) this.#link.hurry();
    const release = this.#parts.stayAlive();
    try {
      await this.#waits.wait(wanted, options ?? {});
    } finally {
      release();
    }
  }

  on<E extends keyof MirrorEvents>(event: E, listener: (payload: MirrorEvents[E]) => void): Unsubscribe {
    return this.#listeners.on(event, listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts with a snapshot from elsewhere; `resume` if the server may know its position. */
  adopt(snapshot: Snapshot, resume: boolean): void {
    this.#follower.adopt(snapshot, resume);
  }

  /** Starts to follow. The observer hears of the first sync and of failures until it is taken away. */
  start(observer: OpeningObserver): void {
    this.#observer = observer;
    this.#link.open();
    this.#reporter?.start();
  }

  /** Nobody waits for the opening any more. What was kept from before is in use now, and old. */
  opened(): void {
    this.#observer = undefined;
    if (this.#freshness.status === "connecting" && this.#follower.hasData) this.#becomeStale();
  }

  report(error: MirrorError): void {
    this.#parts.log({ level: "warn", message: error.message, cause: error.cause });
    if (this.#freshness.status !== "closed") this.#listeners.emit("error", error);
  }

  begin(): WatchRequest {
    this.#reader = new UpdateReader();
    const { environment, clientName } = this.#parts;
    return create(WatchRequestSchema, { environment, clientName, clientVersion, position: this.#follower.resumeFrom });
  }

  receive(message: WatchResponse): Verdict {
    const reading = this.#reader.read(message);
    switch (reading.kind) {
      case "update":
        return this.#apply(reading.update);
      case "heartbeat": {
        const objection = this.#follower.bookmark(reading.position, reading.digest);
        if (objection !== undefined) return { kind: "violation", message: objection };
        // Before listeners hear of it, who may close the mirror.
        this.#waits.reached(reading.position);
        this.#becomeReady();
        return GO_ON;
      }
      case "part":
        // A long update on its way: the server is alive, but the mirror is not in step for it.
        if (this.#freshness.status === "ready") this.#becomeReady();
        return GO_ON;
      case "goodbye":
      case "violation":
        return reading;
    }
  }

  ended(ending: Ending, { wasTrial, mustResync }: Aftermath): void {
    // Before anybody is told: whatever becomes of that, the next stream must not go on from a wrong position.
    if (mustResync) {
      this.#follower.dropPosition();
      this.#counts.resyncs++;
    }
    const error = toMirrorError(ending, this.#parts.transport.address);
    if (error === undefined || wasTrial) {
      const why = error === undefined ? "" : ` (${error.message})`;
      const message = `the stream from ${this.#parts.transport.address} ended${why}; ${wasTrial ? "polling" : "reconnecting"}`;
      this.#parts.log({ level: "info", message });
      return;
    }
    this.#observer?.failed(error);
    this.report(error);
  }

  delivering(by: "stream" | "poll", isProven: boolean): void {
    const { transport, times } = this.#parts;
    const message =
      by === "poll"
        ? `streams from ${transport.address} do not last: it is polled, every ${times.pollIntervalMs / 1000} s`
        : isProven
          ? `updates come by a stream from ${transport.address} again`
          : `${transport.address} cannot be polled any more: streams are tried`;
    this.#parts.log({ level: by === "poll" ? "warn" : "info", message });
  }

  #apply(update: Update): Verdict {
    const applied = this.#follower.apply(update);
    if (applied.kind === "refused") return { kind: "violation", message: applied.message };
    this.#counts[COUNTS[update.kind]]++;
    const isFirst = this.#freshness.status === "connecting";
    if (update.kind !== "none") this.#cacheWriter?.write(this.#follower.snapshot);
    // Before listeners hear of it, who may close the mirror.
    this.#waits.reached(update.position);
    this.#becomeReady();
    if (applied.changedKeys.length > 0 && !isFirst) {
      this.#listeners.emit("change", { keys: applied.changedKeys, revision: this.revision });
    }
    this.#observer?.synced();
    return IN_STEP;
  }

  #becomeReady(): void {
    const before = this.#freshness;
    if (before.status === "closed") return;
    if (before.status === "ready") before.stop();
    const stop = this.#parts.clock.after(this.#parts.times.staleAfterMs, () => this.#becomeStale());
    this.#freshness = { status: "ready", stop };
    if (before.status !== "ready") this.#listeners.emit("ready", { revision: this.revision });
  }

  #becomeStale(): void {
    this.#freshness = { status: "stale" };
    this.#listeners.emit("stale", { revision: this.revision });
  }

  async #close(): Promise<void> {
    if (this.#freshness.status === "ready") this.#freshness.stop();
    this.#freshness = { status: "closed" };
    this.#observer = undefined;
    this.#listeners.clear();
    this.#link.close();
    this.#waits.close();
    await Promise.all([this.#leaveServer(), this.#flushCache()]);
  }

  async #leaveServer(): Promise<void> {
    if (this.#reporter !== undefined) {
      const release = this.#parts.stayAlive();
      await this.#reporter.close(LAST_REPORT_TIMEOUT_MS);
      release();
    }
    await this.#parts.transport.close();
  }

  /** Never rejects, and never waits for ever: the cache may be anybody's. */
  async #flushCache(): Promise<void> {
    if (this.#cacheWriter === undefined) return;
    try {
      await within(this.#cacheWriter.flush(), { clock: this.#parts.clock, timeoutMs: FLUSH_TIMEOUT_MS });
    } catch (error) {
      this.report(new MirrorError("cache", `the cache is not written: ${messageOf(error)}`, { cause: error }));
    }
  }

  #listenerFailed(event: keyof MirrorEvents, thrown: unknown): void {
    const error = new MirrorError("listener", `a listener of "${event}" threw: ${messageOf(thrown)}`, {
      cause: thrown,
    });
    // A listener of errors that throws must not be told of its own error, for ever.
    if (event === "error") this.#parts.log({ level: "warn", message: error.message, cause: thrown });
    else this.report(error);
  }
}

/** How long closing waits for the cache. */
const FLUSH_TIMEOUT_MS = 2_000;

/** How long closing tries to report the last usage. */
const LAST_REPORT_TIMEOUT_MS = 1_000;

/** Undefined where nobody wants it or can. */
function createReporter(parts: MirrorParts, follower: Follower, samples: ContextSamples): UsageReporter | undefined {
  const { transport, reportIntervalMs: intervalMs, sampleContexts } = parts;
  if (transport.reportUsage === undefined || intervalMs === undefined) return undefined;
  const send = transport.reportUsage.bind(transport);
  const take = (maxCount: number): FlagUsage[] => follower.takeUsage(maxCount);
  const { address } = transport;
  return new UsageReporter({
    ...parts,
    intervalMs,
    address,
    send,
    take,
    samples: sampleContexts ? samples : undefined,
  });
}

const GO_ON: Verdict = { kind: "go-on" };
const IN_STEP: Verdict = { kind: "in-step" };
const COUNTS = { full: "fulls", delta: "deltas", none: "nones" } as const;
