import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import type { Logger } from "pino";
import { type Clock, isLoopback } from "../base/index.js";
import {
  type DecisionOptions,
  type FlagwireServer,
  ListenProblem,
  loadLogSdk,
  loadTraceSdk,
  openServer,
  openTelemetry,
  type SocketSource,
  type Telemetry,
  TelemetryProblem,
  TlsFiles,
  TlsFilesProblem,
} from "../server/index.js";
import { isStoreProblem, openLmdbStore, type Store } from "../store/index.js";
import { defaultAddress, toHostPort } from "./address.js";
import { CliFailure, ExitCode, usageFailure } from "./failure.js";
import { readFlagFile } from "./files/read-flag-file.js";
import { leave } from "./leave.js";
import { createLogger } from "./logger.js";
import { type Seed, seedServer } from "./seed-server.js";
import type { ServeOptions, ServeParts, ServiceParts } from "./serve-options.js";
import { createServeSource, flagdAddressesOf } from "./serve-source.js";
import { welcome, welcomeParts } from "./serve-welcome.js";
import { serveWorkers } from "./serve-workers.js";
import type { Session } from "./session.js";

/** The composition root of the service: opens everything in order, serves until told to stop, closes in reverse. */
export async function serve(session: Session, options: ServeOptions): Promise<ExitCode> {
  const log = createLogger(session.io.stderr, options.logLevel);
  // The clock's timers keep nothing alive, and while draining there may be nothing else: the process would end half-way.
  const awake = setInterval(() => undefined, 2 ** 30);
  try {
    return await serveOpened(session, options, log);
  } finally {
    clearInterval(awake);
  }
}

async function serveOpened(session: Session, options: ServeOptions, log: Logger): Promise<ExitCode> {
  const seed = options.seed === undefined ? undefined : await readSeed(session, options.seed);
  const tls = await openTls(session, options, log);
  try {
    const telemetry = await openExport(session, options, log);
    try {
      return await serveDirectory(session, options, { log, seed, tls, telemetry });
    } finally {
      await telemetry?.close();
    }
  } finally {
    tls?.close();
  }
}

async function serveDirectory(
  session: Session,
  options: ServeOptions,
  parts: Pick<ServeParts, "log" | "seed" | "tls" | "telemetry">,
): Promise<ExitCode> {
  // Where nothing is, there is no token, and nothing should be left behind by a refusal.
  if (isOpenToStrangers(options) && !existsSync(options.data)) throw strangersFailure(options);
  const store = await openLmdbStore({ path: options.data, clock: session.io.clock });
  if (isStoreProblem(store)) throw new CliFailure(ExitCode.refused, store.message);
  try {
    await refuseStrangers(options, store);
    if (options.decisions !== undefined) await checkDecisions(options.decisions);
    const all = { ...parts, store, service: toService(session, options) };
    return await (options.workers === 1 ? serveStore : serveWorkers)(session, options, all);
  } finally {
    await closeStore(store, session.io.clock);
  }
}

/** What cannot be written, or sent, is found out now, not when the first answer is. */
async function checkDecisions({ target }: DecisionOptions): Promise<void> {
  if (target.kind === "otlp") {
    const loaded = await loadLogSdk();
    if (loaded instanceof TelemetryProblem) throw usageFailure(`--decisions: ${loaded.message}`);
    return;
  }
  try {
    await appendFile(target.path, "", { mode: 0o600 });
  } catch (error) {
    throw usageFailure(`--decisions: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What holds for this process and for workers. */
function toService({ io }: Session, options: ServeOptions): ServiceParts {
  const { allowAnonymous, anonymousRole, clientRoles, callers, web, decisions } = options;
  const ownToken = randomBytes(32).toString("base64url");
  return { allowAnonymous, anonymousRole, clientRoles, callers, web, decisions, ownToken, version: io.version };
}

/** Before anything is opened: wrong files are wrong options. */
async function openTls(session: Session, { tls: paths }: ServeOptions, log: Logger): Promise<TlsFiles | undefined> {
  if (paths === undefined) return undefined;
  const files = await TlsFiles.open({ paths, log, clock: session.io.clock });
  if (!(files instanceof TlsFilesProblem)) return files;
  const option = { cert: "--tls-cert", key: "--tls-key", clientCa: "--tls-client-ca" }[files.part];
  throw usageFailure(`${option}: ${files.message}`);
}

/** Of this process, where it answers calls itself; workers export their own. What is missing is known before anything is opened. */
async function openExport(
  { io }: Session,
  { otlp, workers }: ServeOptions,
  log: Logger,
): Promise<Telemetry | undefined> {
  if (otlp === undefined) return undefined;
  const exported = { settings: otlp, version: io.version, log, clock: io.clock };
  const opened = await (workers === 1 ? openTelemetry(exported) : loadTraceSdk());
  if (opened instanceof TelemetryProblem) throw usageFailure(`--otlp: ${opened.message}`);
  return "tracing" in opened ? opened : undefined;
}

/** Whoever can connect could change everything: nobody should come to that without having said so. */
async function refuseStrangers(options: ServeOptions, store: Store): Promise<void> {
  if (!isOpenToStrangers(options)) return;
  const { records } = await store.load();
  for (const { kind } of records.values()) if (kind.case === "token") return;
  throw strangersFailure(options);
}

/** Unless there are tokens. */
function isOpenToStrangers({ listen, allowAnonymous, clientRoles }: ServeOptions): boolean {
  return !isLoopback(listen.host) && !allowAnonymous && clientRoles.length === 0;
}

function strangersFailure({ listen, data }: ServeOptions): CliFailure {
  return usageFailure(
    `${toHostPort(listen)} is reachable from other machines, and there are no tokens to tell callers apart; make one with "flagwire token create --name admin --role admin --data ${data}", listen on ${defaultAddress}, or add --allow-anonymous if the network itself keeps strangers out`,
  );
}

/** A store whose disk has failed may never close. What was acknowledged is on disk all the same. */
const CLOSE_TIMEOUT_MS = 5_000;

async function closeStore(store: Store, clock: Clock): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stopTimer = clock.after(CLOSE_TIMEOUT_MS, resolve);
    store.close().then(resolve, reject).finally(stopTimer);
  });
}

async function serveStore(session: Session, options: ServeOptions, parts: ServeParts): Promise<ExitCode> {
  const { log } = parts;
  const source = createServeSource(options, { log, pauseOnConnect: false });
  const server = await openSeeded(session, options, parts, source);
  if (server === undefined) return ExitCode.done;
  try {
    const flagd = flagdAddressesOf(source);
    await welcome(session, { ...overviewOf(server), ...welcomeParts(options), flagd });
    log.info({ address: toHostPort(server.address), revision: String(server.revision) }, "serving");
    return await untilStopped(session, server, options, log);
  } finally {
    await server.stop();
  }
}

function overviewOf(server: FlagwireServer) {
  const keys = server.flagKeys();
  const { address, revision } = server;
  return { address, revision, flagCount: keys.length, firstFlagKey: keys[0], hasTokens: server.hasTokens() };
}

/** Undefined if it was told to stop while still starting: what that cut off is no failure. */
async function openSeeded(
  session: Session,
  { listen, data }: ServeOptions,
  parts: ServeParts,
  source: SocketSource,
): Promise<FlagwireServer | undefined> {
  const { store, log, seed, tls, telemetry, service } = parts;
  try {
    const server = await openServer({
      ...service,
      store,
      dataDirectory: data,
      listen,
      source,
      tls,
      tracing: telemetry?.tracing,
      log,
      clock: session.io.clock,
      prepare: async ({ address }) => {
        if (seed !== undefined)
          await seedServer(session, { ...address, isTls: tls !== undefined }, seed, service.ownToken);
      },
    });
    if (server instanceof ListenProblem) throw new CliFailure(ExitCode.refused, server.message);
    return server;
  } catch (error) {
    if (session.signal.aborted) return undefined;
    throw error;
  }
}

/** Resolves after a signal with success; a store that failed ends the service with failure (S5 of the store's guarantees). */
async function untilStopped(
  session: Session,
  server: FlagwireServer,
  options: ServeOptions,
  log: Logger,
): Promise<ExitCode> {
  const stopped = new Promise<undefined>((done) => {
    if (session.signal.aborted) done(undefined);
    session.signal.addEventListener("abort", () => done(undefined), { once: true });
  });
  const leaving = stopped.then(() => leave(server, options, session.io.clock, log));
  const failure = await Promise.race([leaving, server.failed]);
  if (failure === undefined) return ExitCode.done;
  log.fatal({ err: failure.cause }, failure.message);
  throw new CliFailure(ExitCode.refused, `the store has failed, so the service ends: ${failure.message}`);
}

/** Read before anything is opened: a file that cannot be imported should leave nothing behind. */
async function readSeed(session: Session, path: string): Promise<Seed> {
  const { file, refused } = await readFlagFile(path, session.io.stdin, session.options.environment);
  if (refused.length === 0) return { path, file };
  throw new CliFailure(
    ExitCode.refused,
    `${path} cannot be imported whole, so the service does not start; mend it, or start without and use "flagwire import --skip-invalid"`,
    refused.map(({ key, field, description }) => `${key}: ${field}: ${description}`),
  );
}
