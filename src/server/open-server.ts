import { create } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Clock, systemClock, systemRandom } from "../base/index.js";
import { type Store, StoreUnavailable } from "../store/index.js";
import { createWatchHub, type WatchHub } from "../watch/index.js";
import { createGate } from "./access/gate.js";
import { adminHandlers } from "./admin/admin-handlers.js";
import { putEnvironment } from "./admin/records.js";
import { stamp } from "./admin/stamp.js";
import { Writer } from "./admin/writer.js";
import { ClientRegistry } from "./clients/client-registry.js";
import { ContextSampler } from "./contexts/context-sampler.js";
import { noContexts } from "./contexts/kept-contexts.js";
import { type OwnedKeptContexts, openKeptContexts } from "./contexts/open-kept-contexts.js";
import { ReportedContexts } from "./contexts/reported-contexts.js";
import { openDecisionLog } from "./decisions/open-decision-log.js";
import { DEFAULT_ENVIRONMENT } from "./environment.js";
import { evaluationHandlers } from "./evaluation.js";
import { flagdEvaluationServices } from "./flagd/evaluation-services.js";
import { flagdSyncService } from "./flagd/sync-service.js";
import { guardService } from "./guard.js";
import { serveService } from "./handlers.js";
import { createHealthState } from "./health.js";
import { ListenProblem, openListener } from "./listener.js";
import { CallMeters } from "./metrics/call-meters.js";
import { createMetricsRoute } from "./metrics/metrics-route.js";
import { ServerMetrics } from "./metrics/server-metrics.js";
import { StoreMeter } from "./metrics/store-meter.js";
import { UsageMeter } from "./metrics/usage-meter.js";
import { createOfrepRoutes } from "./ofrep/ofrep-routes.js";
import { openRampRunner } from "./ramps/ramp-runner.js";
import { type FlagwireServer, RunningServer } from "./running-server.js";
import type { ServerOptions } from "./server-options.js";
import { Head } from "./state/head.js";
import { registeredTracing } from "./tracing/call-tracing.js";
import type { HttpRoutes, TransportOptions } from "./transport.js";
import { createMemoryUsageLedger } from "./usage/memory-usage-ledger.js";
import { openUsageLedger } from "./usage/open-usage-ledger.js";
import { ServedCounts } from "./usage/served-counts.js";
import { completeWebOptions } from "./web-options.js";

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
  const { dataDirectory, version = "unknown" } = options;
  const written = { log, clock, random, version };
  const decisions = options.decisions && (await openDecisionLog(options.decisions, written));
  const head = await openHead(commits.wrap(store), hub, clock);
  const writer = new Writer(head, clock);
  const kept = options.usage === undefined && store.side ? openUsageLedger({ side: store.side, clock }) : undefined;
  const usage = options.usage ?? kept ?? createMemoryUsageLedger(clock);
  const keptContexts = options.contexts === undefined ? openOwnContexts(head, clock) : undefined;
  const contexts = options.contexts ?? keptContexts ?? noContexts;
  const sampler = new ContextSampler({ head, contexts, clock, random });
  const reportedContexts = new ReportedContexts({ head, contexts, clock });
  const observers = decisions === undefined ? [sampler] : [decisions, sampler];
  const served = new ServedCounts({ head, usage, clock, observers });
  const clients = new ClientRegistry(clock);
  const { allowAnonymous = false, anonymousRole, clientRoles = [], ownToken, tls } = options;
  for (const name of anonymousRole?.environments ?? []) {
    if (head.catalog.environment(name) !== undefined) continue;
    log.warn(`there is no environment ${JSON.stringify(name)} for the callers without a token to ask for`);
  }
  const gate = createGate({
    head,
    clock,
    host: options.listen.host,
    allowAnonymous,
    anonymousRole,
    clientRoles,
    ownToken,
    limits: options.callers ?? {},
  });
  const evaluation = { head, hub, clock, usage: reports.wrap(usage), served, clients, reportedContexts };
  const listClients = options.listClients ?? (async (query) => clients.list(query));
  const services = [
    serveService(EvaluationService, evaluationHandlers(evaluation)),
    serveService(AdminService, adminHandlers({ head, writer, contexts }, usage, listClients)),
    ...flagdEvaluationServices(evaluation),
    ...flagdSyncService(evaluation, log),
  ].map((service) => guardService(service, gate));
  const { listen, limits = {}, source } = options;
  const from = source === undefined ? {} : { source };
  const { corsOrigins, ofrepRequestsPerSecond: requestsPerSecond } = web;
  const measured = { head, hub, clock, calls, commits, usage: reports, decisions, dataDirectory, version };
  const metrics = new ServerMetrics({ ...measured, node: process.versions.node });
  const gather = options.gatherMetrics ?? (async () => [await server.metrics(undefined)]);
  const createRoutes = (transport: TransportOptions): HttpRoutes => {
    const answerOfrep = createOfrepRoutes({ head, gate, served, clock, random, requestsPerSecond }, transport);
    const answerMetrics = createMetricsRoute({ gate, calls, gather }, transport);
    return (request, response) => answerOfrep(request, response) || answerMetrics(request, response);
  };
  const tracing = options.tracing ?? registeredTracing(version);
  const http = { corsOrigins, createRoutes, meters: calls, tracing };
  const listener = await openListener({ ...listen, ...from, tls, services, health, log, clock, limits, ...http });
  // In this order, when no call is answered any more.
  const last = [served, decisions, sampler, kept, keptContexts];
  if (listener instanceof ListenProblem) {
    for (const part of last) await part?.close();
    await head.close();
    return listener;
  }
  const server = new RunningServer(listener, head, hub, health, clients, metrics);
  for (const part of last) if (part !== undefined) server.closeLast(part);
  try {
    await options.prepare?.(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  server.announce();
  const runner = openRampRunner({ head, writer, clock, log });
  server.onStop(() => runner.stop());
  return server;
}

/** Undefined where another process owns the data. */
function openOwnContexts({ store, catalog, revision }: Head, clock: Clock): OwnedKeptContexts | undefined {
  const { side } = store;
  if (side === undefined) return undefined;
  const environments = catalog.environmentNames().flatMap((name) => catalog.environment(name) ?? []);
  return openKeptContexts({ store, side, clock, start: { revision, environments } });
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
