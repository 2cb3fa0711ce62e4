import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, type Random, systemClock, systemRandom } from "../base/index.js";
import { type Store, type StoreFailure, StoreUnavailable } from "../store/index.js";
import { createWatchHub, type WatchHub, type WatchLimits } from "../watch/index.js";
import type { CallerLimits } from "./access/caller-limits.js";
import type { ClientRole } from "./access/client-roles.js";
import { createGate } from "./access/gate.js";
import { adminHandlers } from "./admin/admin-handlers.js";
import { putEnvironment } from "./admin/records.js";
import { stamp } from "./admin/stamp.js";
import { Writer } from "./admin/writer.js";
import type { ClientListing, ClientQuery, ListConnectedClients } from "./clients/client-directory.js";
import { ClientRegistry } from "./clients/client-registry.js";
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
import { CallMeters } from "./metrics/call-meters.js";
import type { ProcessReport } from "./metrics/metric-report.js";
import { createMetricsRoute } from "./metrics/metrics-route.js";
import { processMetrics } from "./metrics/process-metrics.js";
import { ServerMetrics } from "./metrics/server-metrics.js";
import { StoreMeter } from "./metrics/store-meter.js";
import { UsageMeter } from "./metrics/usage-meter.js";
import { createOfrepRoutes } from "./ofrep/ofrep-routes.js";
import { openRampRunner } from "./ramps/ramp-runner.js";
import { Head } from "./state/head.js";
import type { KeyMaterialSource } from "./tls/key-material.js";
import type { HttpRoutes, TransportLimits, TransportOptions } from "./transport.js";
import { createMemoryUsageLedger } from "./usage/memory-usage-ledger.js";
import { openUsageLedger } from "./usage/open-usage-ledger.js";
import { ServedCounts } from "./usage/served-counts.js";
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
  /** What to speak TLS with. Default: clear text. */
  readonly tls?: KeyMaterialSource | undefined;
  /** What holders of certificates may do, by names on them; with these nobody comes in with nothing. Default none. */
  readonly clientRoles?: readonly ClientRole[];
  /** Default: see CallerLimits. */
  readonly callers?: Partial<CallerLimits> | undefined;
  /** A token that does everything and is kept nowhere: what the service presents to itself. Default none. */
  readonly ownToken?: string | undefined;
  /** Default: see WebOptions. */
  readonly web?: Partial<WebOptions>;
  /** Where usage is added up. Default: beside the log of the store, or in memory where that is not this process's own. */
  readonly usage?: UsageLedger;
  /** Tells who is connected, of all processes that serve the store. Default: only of this one. */
  readonly listClients?: ListConnectedClients;
  /** Where the data are, for what is free there. Default: not known. */
  readonly dataDirectory?: string;
  /** What runs, for the metrics. Default `unknown`. */
  readonly version?: string;
  /** What all processes of the service count, this one included. Default: this one only. */
  readonly gatherMetrics?: () => Promise<readonly ProcessReport[]>;
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
  /** What this process counts. */
  metrics(worker: string | undefined): Promise<ProcessReport>;
  /** Who has a stream of changes open in this process. */
  listClients(query: ClientQuery): ClientListing;
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
  const commits = new StoreMeter(clock);
  const reports = new UsageMeter();
  const calls = new CallMeters(clock);
  const head = await openHead(commits.wrap(store), hub, clock);
  const writer = new Writer(head, clock);
  const kept = options.usage === undefined && store.side ? openUsageLedger({ side: store.side, clock }) : undefined;
  const usage = options.usage ?? kept ?? createMemoryUsageLedger(clock);
  const served = new ServedCounts({ head, usage, clock });
  const clients = new ClientRegistry(clock);
  const { allowAnonymous = false, clientRoles = [], ownToken, tls } = options;
  const gate = createGate({
    head,
    clock,
    host: options.listen.host,
    allowAnonymous,
    clientRoles,
    ownToken,
    limits: options.callers ?? {},
  });
  const evaluation = { head, hub, clock, usage: reports.wrap(usage), served, clients };
  const listClients = options.listClients ?? (async (query) => clients.list(query));
  const services = [
    serveService(EvaluationService, evaluationHandlers(evaluation)),
    serveService(AdminService, adminHandlers({ head, writer }, usage, listClients)),
    ...flagdEvaluationServices(evaluation),
    ...flagdSyncService(evaluation, log),
  ].map((service) => guardService(service, gate));
  const { listen, limits = {}, source } = options;
  const from = source === undefined ? {} : { source };
  const { corsOrigins, ofrepRequestsPerSecond: requestsPerSecond } = web;
  const { dataDirectory, version = "unknown" } = options;
  const measured = { head, hub, clock, calls, commits, usage: reports, dataDirectory, version };
  const metrics = new ServerMetrics({ ...measured, node: process.versions.node });
  const gather = options.gatherMetrics ?? (async () => [await server.metrics(undefined)]);
  const createRoutes = (transport: TransportOptions): HttpRoutes => {
    const answerOfrep = createOfrepRoutes({ head, gate, served, clock, random, requestsPerSecond }, transport);
    const answerMetrics = createMetricsRoute({ gate, calls, gather }, transport);
    return (request, response) => answerOfrep(request, response) || answerMetrics(request, response);
  };
  const http = { corsOrigins, createRoutes, meters: calls };
  const listener = await openListener({ ...listen, ...from, tls, services, health, log, clock, limits, ...http });
  if (listener instanceof ListenProblem) {
    await kept?.close();
    await head.close();
    return listener;
  }
  const server = new RunningServer(listener, head, hub, health, clients, metrics);
  server.closeLast(served);
  if (kept !== undefined) server.closeLast(kept);
  try {
    await options.prepare?.(listener.address);
  } catch (error) {
    await server.stop();
    throw error;
  }
  server.announce();
  const runner = openRampRunner({ head, writer, clock, log });
  server.onStop(() => runner.stop());
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
      this.#hasFailed = true;
      health.set("not-serving");
      return failure;
    });
  }

  /** Reports that it serves; not if it has failed while it was made ready. */
  announce(): void {
    if (!this.#hasFailed) this.health.set("serving");
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
    this.health.set("not-serving");
    for (const action of this.#onStop) action();
    this.hub.goodbye(GoodbyeReason.SHUTDOWN, RECONNECT_AFTER_MS);
    this.head.announcements.end();
    await this.listener.stop(deadlineMs);
    for (const part of this.#lastParts) await part.close();
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
