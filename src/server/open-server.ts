import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, type Random, systemClock, systemRandom } from "../base/index.js";
import { type Store, type StoreFailure, StoreUnavailable } from "../store/index.js";
import { createWatchHub, type WatchHub, type WatchLimits } from "../watch/index.js";
import { createGate } from "./access/gate.js";
import { adminHandlers } from "./admin/admin-handlers.js";
import { putEnvironment } from "./admin/records.js";
import { stamp } from "./admin/stamp.js";
import { Writer } from "./admin/writer.js";
import { DEFAULT_ENVIRONMENT } from "./environment.js";
import { evaluationHandlers } from "./evaluation.js";
import { flagdEvaluationServices } from "./flagd/evaluation-services.js";
import { flagdSyncService } from "./flagd/sync-service.js";
import { guardService } from "./guard.js";
import { serveService } from "./handlers.js";
import { createHealthState, type HealthState } from "./health.js";
import {
  type Listener,
  type ListenerStats,
  ListenProblem,
  openListener,
  type ServerAddress,
  type SocketSource,
} from "./listener.js";
import { createOfrepRoutes } from "./ofrep/ofrep-routes.js";
import { Head } from "./state/head.js";
import type { TransportLimits, TransportOptions } from "./transport.js";
import { createMemoryUsageLedger } from "./usage/memory-usage-ledger.js";
import type { UsageLedger } from "./usage/usage-ledger.js";
import { completeWebOptions, type WebOptions } from "./web-options.js";

/** What a server is made of. It does not own the store: close that after the server has stopped. */
export interface ServerOptions {
  readonly store: Store;
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where connections come from. Default: TCP, at `listen`. */
  readonly source?: SocketSource;
  readonly log: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: the runtime's. */
  readonly random?: Random;
  /** Default: see TransportLimits. */
  readonly limits?: Partial<TransportLimits>;
  /** Default: see WatchLimits. */
  readonly watch?: Partial<WatchLimits>;
  /** Whether callers from other machines may do everything as long as there is no token. Default false. */
  readonly allowAnonymous?: boolean;
  /** A token that does everything and is kept nowhere: what the service presents to itself. Default none. */
  readonly ownToken?: string | undefined;
  /** Default: see WebOptions. */
  readonly web?: Partial<WebOptions>;
  /** Where reports of usage are added up. Default: in this process's memory. */
  readonly usage?: UsageLedger;
  /**
   * Done once calls are answered but before the server reports that it serves, such as an import of the first flags. If it
   * rejects, opening stops the server and rejects too. Default: nothing.
   */
  readonly prepare?: (address: ServerAddress) => Promise<void>;
}

/** A server that answers. */
export interface FlagwireServer extends AsyncDisposable {
  readonly address: ServerAddress;
  /** The newest revision that is visible. */
  readonly revision: bigint;
  /** The flags at that revision, sorted. */
  flagKeys(): readonly string[];
  /** Whether there are tokens, so that every call needs one. */
  hasTokens(): boolean;
  /** Resolves if the store fails or cannot be followed: it reports NOT_SERVING by then; stop it and exit. */
  readonly failed: Promise<StoreFailure>;
  stats(): ServerStats;
  /** Ends so many streams early, so that their clients open others. */
  recycle(count: number): void;
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

/**
 * Loads the store's state and serves it on one port, or says why it cannot listen. Rejects with `StoreUnavailable` where the
 * store cannot be read, or written on a first start, and with a RangeError where `web` is wrong.
 */
export async function openServer(options: ServerOptions): Promise<FlagwireServer | ListenProblem> {
  const { store, log } = options;
  const web = completeWebOptions(options.web);
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const hub = createWatchHub({ ...options.watch, clock, random });
  const health = createHealthState();
  const head = await openHead(store, hub, clock);
  const writer = new Writer(head, clock);
  const usage = options.usage ?? createMemoryUsageLedger(clock);
  const { allowAnonymous = false, ownToken } = options;
  const gate = createGate({ head, clock, host: options.listen.host, allowAnonymous, ownToken });
  const evaluation = { head, hub, clock, usage };
  const services = [
    serveService(EvaluationService, evaluationHandlers(evaluation)),
    serveService(AdminService, adminHandlers({ head, writer }, usage)),
    ...flagdEvaluationServices(evaluation),
    ...flagdSyncService(evaluation, log),
  ].map((service) => guardService(service, gate));
  const { listen, limits = {}, source } = options;
  const from = source === undefined ? {} : { source };
  const { corsOrigins, ofrepRequestsPerSecond: requestsPerSecond } = web;
  const createRoutes = (transport: TransportOptions) =>
    createOfrepRoutes({ head, gate, clock, random, requestsPerSecond }, transport);
  const http = { corsOrigins, createRoutes };
  const listener = await openListener({ ...listen, ...from, services, health, log, clock, limits, ...http });
  if (listener instanceof ListenProblem) {
    await head.close();
    return listener;
  }
  const server = new RunningServer(listener, head, hub, health);
  try {
    await options.prepare?.(listener.address);
  } catch (error) {
    await server.stop();
    throw error;
  }
  server.announce();
  return server;
}

async function openHead(store: Store, hub: WatchHub, clock: Clock): Promise<Head> {
  const head = await Head.open(store, hub);
  try {
    await createDefaultEnvironment(head, clock);
    return head;
  } catch (error) {
    await head.close();
    throw error;
  }
}

class RunningServer implements FlagwireServer {
  readonly failed: Promise<StoreFailure>;
  #stopped: Promise<void> | undefined;
  #hasFailed = false;

  constructor(
    readonly listener: Listener,
    readonly head: Head,
    readonly hub: WatchHub,
    readonly health: HealthState,
  ) {
    this.failed = Promise.race([head.store.failed, head.failed]).then((failure) => {
      this.#hasFailed = true;
      health.set("not-serving");
      return failure;
    });
  }

  /** Reports that it serves; not if it has failed while it was made ready. */
  announce(): void {
    if (!this.#hasFailed) this.health.set("serving");
  }

  get address() {
    return this.listener.address;
  }

  get revision(): bigint {
    return this.head.revision;
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
    this.health.set("not-serving");
    this.hub.goodbye(GoodbyeReason.SHUTDOWN, RECONNECT_AFTER_MS);
    this.head.announcements.end();
    await this.listener.stop(deadlineMs);
    await this.head.close();
  }
}

/** `production` exists from the first start, whichever of several servers on one store comes first. */
async function createDefaultEnvironment(head: Head, clock: Clock): Promise<void> {
  const { catalog, store } = head;
  if (catalog.environment(DEFAULT_ENVIRONMENT) !== undefined) return;
  const author = "flagwire";
  const timeMs = clock.now();
  const change = putEnvironment(create(EnvironmentSchema, { name: DEFAULT_ENVIRONMENT }));
  const result = await store.commit({
    timeMs,
    author,
    comment: "first start",
    changes: [stamp(change, { catalog, author, timeMs })],
    preconditions: [{ kind: "absent", id: change.id }],
  });
  switch (result.kind) {
    case "committed":
      return head.reached(result.revision);
    case "conflict":
      return head.reached(result.headRevision);
    default:
      throw new StoreUnavailable(`environment ${DEFAULT_ENVIRONMENT} cannot be created: ${result.kind}`);
  }
}
