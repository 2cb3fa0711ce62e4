import { fork } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { systemRandom } from "../base/index.js";
import { openSupervisor, type Supervisor } from "../cluster/index.js";
import { ListenProblem } from "../server/index.js";
import { toHostPort } from "./address.js";
import { CliFailure, ExitCode } from "./failure.js";
import { leave } from "./leave.js";
import { seedServer } from "./seed-server.js";
import type { ServeOptions, ServeParts } from "./serve-options.js";
import { createServeSource, flagdAddressesOf } from "./serve-source.js";
import { type FlagdAddresses, welcome, welcomeParts } from "./serve-welcome.js";
import type { Session } from "./session.js";

/** The service as several processes: this one writes and hands connections over, the others answer. */
export async function serveWorkers(session: Session, options: ServeOptions, parts: ServeParts): Promise<ExitCode> {
  const { store, log, tls, service } = parts;
  // Opening has read everything, to know that it can be read, and keeps it for the first to ask. Here nobody will.
  await store.load();
  const directory = resolve(options.data);
  const { listen, workers, otlp } = options;
  const { clock } = session.io;
  // Nothing is read of a connection before it is handed over.
  const source = createServeSource(options, { log, pauseOnConnect: true });
  const supervisor = await openSupervisor({
    store,
    directory,
    service,
    listen,
    source,
    tls,
    otlp,
    workers,
    fork: forkWorker,
    log,
    clock,
    random: systemRandom,
  });
  if (supervisor instanceof ListenProblem) throw new CliFailure(ExitCode.refused, supervisor.message);
  try {
    const stopped = aborted(session.signal);
    const failed = supervisor.failed.then(({ message, cause }) => {
      log.fatal({ err: cause }, message);
      throw new CliFailure(ExitCode.refused, message);
    });
    const isReady = await Promise.race([
      makeReady(session, supervisor, options, parts, flagdAddressesOf(source)),
      stopped,
      failed,
    ]);
    if (!isReady) return ExitCode.done;
    await Promise.race([stopped, failed]);
    await Promise.race([leave(supervisor, options, clock, log), failed]);
    return ExitCode.done;
  } finally {
    await supervisor.stop();
  }
}

function forkWorker() {
  const main = fileURLToPath(new URL("./worker-main.js", import.meta.url));
  return fork(main, [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    // A group of its own: Ctrl-C at a terminal is for the supervisor alone, also while a worker loads. On Windows it would be
    // a window of its own.
    detached: process.platform !== "win32",
  });
}

/** False if it was told to stop meanwhile: what that cut off is no failure. */
async function makeReady(
  session: Session,
  supervisor: Supervisor,
  options: ServeOptions,
  { log, seed, tls, service }: ServeParts,
  flagd: FlagdAddresses | undefined,
): Promise<boolean> {
  try {
    await supervisor.opened;
    const { address } = supervisor;
    if (seed !== undefined) await seedServer(session, { ...address, isTls: tls !== undefined }, seed, service.ownToken);
    await supervisor.announce();
    const overview = await supervisor.overview();
    const { workers } = options;
    await welcome(session, { address, flagd, ...overview, ...welcomeParts(options) });
    log.info({ address: toHostPort(address), revision: String(overview.revision), workers }, "serving");
    return true;
  } catch (error) {
    if (session.signal.aborted) return false;
    throw error;
  }
}

/** Resolves with false. */
function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    signal.addEventListener("abort", () => resolve(false), { once: true });
  });
}
