import { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import type { StoreFailure } from "../store/index.js";
import type { WatchHub } from "../watch/index.js";
import type { ClientListing, ClientQuery } from "./clients/client-directory.js";
import type { ClientRegistry } from "./clients/client-registry.js";
import type { HealthState } from "./health.js";
import type { Listener, ListenerStats, ServerAddress } from "./listener.js";
import type { ProcessReport } from "./metrics/metric-report.js";
import { processMetrics } from "./metrics/process-metrics.js";
import type { ServerMetrics } from "./metrics/server-metrics.js";
import type { Head } from "./state/head.js";

/** A server that answers. */
export interface FlagwireServer extends AsyncDisposable {
  readonly address: ServerAddress;
  /** The newest revision that is visible. */
  readonly revision: bigint;
  /** Resolves when a revision that is durable is visible. Rejects with `StoreUnavailable`. */
  reached(revision: bigint): Promise<void>;
  /** The flags at that revision, sorted. */
  flagKeys(): readonly string[];
  /** Whether there are tokens, so that every call needs one. */
  hasTokens(): boolean;
  /** Resolves if the store fails or cannot be followed: it reports NOT_SERVING by then; stop it and exit. */
  readonly failed: Promise<StoreFailure>;
  stats(): ServerStats;
  /** What this process counts. */
  metrics(worker: string | undefined): Promise<ProcessReport>;
  /** Who has a stream of changes open in this process. */
  listClients(query: ClientQuery): ClientListing;
  /** Ends so many streams early, so that their clients open others. */
  recycle(count: number): void;
  /** Reports NOT_SERVING, and goes on answering: whoever looks at its health sends callers elsewhere before it stops. */
  retire(): void;
  /**
   * Drains: reports NOT_SERVING, says goodbye on every stream, lets calls finish for `deadlineMs` (default 5 s), then cuts
   * off what is left.
   */
  stop(deadlineMs?: number): Promise<void>;
}

export interface ServerStats extends ListenerStats {
  /** Open streams of changes. */
  readonly watchers: number;
}

const DRAIN_DEADLINE_MS = 5_000;
const RECONNECT_AFTER_MS = 1_000;

/** A server whose parts are all open. It serves once it has announced that. */
export class RunningServer implements FlagwireServer {
  readonly failed: Promise<StoreFailure>;
  #stopped: Promise<void> | undefined;
  #isUnfit = false;
  readonly #onStop: (() => void)[] = [];
  readonly #lastParts: { close(): Promise<void> }[] = [];

  constructor(
    readonly listener: Listener,
    readonly head: Head,
    readonly hub: WatchHub,
    readonly health: HealthState,
    readonly clients: ClientRegistry,
    readonly counted: ServerMetrics,
  ) {
    this.failed = Promise.race([head.store.failed, head.failed]).then((failure) => {
      this.retire();
      return failure;
    });
  }

  /** Reports that it serves; not if it has failed while it was made ready, or was told not to. */
  announce(): void {
    if (!this.#isUnfit) this.health.set("serving");
  }

  retire(): void {
    this.#isUnfit = true;
    this.health.set("not-serving");
  }

  /** Calls `action` when it begins to drain. */
  onStop(action: () => void): void {
    this.#onStop.push(action);
  }

  /** Closes something once no call is answered any more, after what was given before. */
  closeLast(part: { close(): Promise<void> }): void {
    this.#lastParts.push(part);
  }

  listClients(query: ClientQuery): ClientListing {
    return this.clients.list(query);
  }

  get address() {
    return this.listener.address;
  }

  get revision(): bigint {
    return this.head.revision;
  }

  reached(revision: bigint): Promise<void> {
    return this.head.reached(revision);
  }

  flagKeys(): readonly string[] {
    return this.head.catalog.flagKeys();
  }

  hasTokens(): boolean {
    return this.head.catalog.tokenIds().length > 0;
  }

  stats(): ServerStats {
    return { ...this.listener.stats(), watchers: this.hub.counts().watchers };
  }

  async metrics(worker: string | undefined): Promise<ProcessReport> {
    const own = await this.counted.families(this.listener.stats());
    return { worker, families: [...own, ...(await processMetrics())] };
  }

  recycle(count: number): void {
    this.hub.recycle(count);
  }

  stop(deadlineMs: number = DRAIN_DEADLINE_MS): Promise<void> {
    this.#stopped ??= this.#drain(deadlineMs);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.retire();
    for (const action of this.#onStop) action();
    this.hub.goodbye(GoodbyeReason.SHUTDOWN, RECONNECT_AFTER_MS);
    this.head.announcements.end();
    await this.listener.stop(deadlineMs);
    for (const part of this.#lastParts) await part.close();
    await this.head.close();
  }
}
