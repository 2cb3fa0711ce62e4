import type { Socket } from "node:net";
import type { StopTimer } from "../base/index.js";
import {
  type ClientListing,
  type ClientQuery,
  createMemoryUsageLedger,
  createTcpSource,
  type EnvironmentsAt,
  environmentsOf,
  joinListings,
  type KeptUsageLedger,
  type ListenProblem,
  noContexts,
  type OwnedKeptContexts,
  openKeptContexts,
  openUsageLedger,
  type ProcessReport,
  processMetrics,
  type ServerAddress,
  type SocketSource,
} from "../server/index.js";
import { createStoreOwner } from "../store/index.js";
import { Evener } from "./balance.js";
import { LinkBroken } from "./link.js";
import type { Overview } from "./messages.js";
import { SILENT_MS } from "./silence.js";
import type { Supervisor, SupervisorFailure, SupervisorOptions } from "./supervisor-options.js";
import { Visibility } from "./visibility.js";
import { WaitingRoom } from "./waiting-room.js";
import { type PlaceHost, WorkerPlace } from "./worker-place.js";
import type { WorkerEnd, WorkerProcess } from "./worker-process.js";

const TICK_MS = 1_000;
/** How long a worker may take to say who is connected. */
const ANSWER_TIMEOUT_MS = 1_000;
/** A tick that comes so late tells that this process was stopped or busy: nobody has listened to the workers. */
const LATE_MS = 1_000;
const DRAIN_DEADLINE_MS = 5_000;
/** Calls have 5 s, what is left of decisions 2 s, of traces 1.5 s. */
const KILL_AFTER_MS = 9_000;

/** Listens, and starts the workers; or says why it cannot listen. */
export async function openSupervisor(options: SupervisorOptions): Promise<Supervisor | ListenProblem> {
  const { listen, log, store } = options;
  // Read before anybody connects, and before the first commit: the store still has at hand what it opened with.
  const environments = environmentsOf(await store.load());
  const source = options.source ?? createTcpSource({ ...listen, log, pauseOnConnect: true });
  // Connections are accepted before there is a worker, and wait.
  let accept = (socket: Socket): void => void socket.destroy();
  const address = await source.open((socket) => accept(socket));
  if (!("port" in address)) return address;
  const supervisor = new RunningSupervisor(options, source, address, environments);
  accept = (socket) => supervisor.accept(socket);
  return supervisor;
}

class RunningSupervisor implements Supervisor, PlaceHost {
  readonly opened: Promise<void>;
  readonly failed: Promise<SupervisorFailure>;
  readonly #options: SupervisorOptions;
  readonly #keptUsage: KeptUsageLedger | undefined;
  readonly #keptContexts: OwnedKeptContexts | undefined;
  readonly #source: SocketSource;
  readonly #places: WorkerPlace[] = [];
  readonly #waiting = new WaitingRoom();
  readonly #evener = new Evener();
  /** The workers that have not been open, or ready, even once. */
  readonly #unopened = new Set<number>();
  readonly #unready = new Set<number>();
  readonly #ready: Promise<void>;
  /** Called once, at the next worker that opens or when there will be none. */
  readonly #onNextOpened: (() => void)[] = [];
  #resolveOpened: () => void = () => undefined;
  #resolveReady: () => void = () => undefined;
  #resolveFailed: (failure: SupervisorFailure) => void = () => undefined;
  #isAnnounced = false;
  #isRetired = false;
  #stopTick: StopTimer = () => undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    options: SupervisorOptions,
    source: SocketSource,
    readonly address: ServerAddress,
    environments: EnvironmentsAt,
  ) {
    this.#options = options;
    this.#source = source;
    this.opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
    this.#ready = new Promise((resolve) => {
      this.#resolveReady = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#resolveFailed = resolve;
    });
    const visibility = new Visibility<WorkerProcess>(options.clock, ({ number, pid }) => {
      options.log.warn({ worker: number, pid }, "a worker lags behind: writes are answered before they are seen there");
    });
    const { store } = options;
    const owner = createStoreOwner(store, (revision) => visibility.seenByAll(revision));
    const { side } = store;
    this.#keptUsage = side && openUsageLedger({ side, clock: options.clock });
    this.#keptContexts = side && openKeptContexts({ store, side, clock: options.clock, start: environments });
    const usage = this.#keptUsage ?? createMemoryUsageLedger(options.clock);
    const listClients = (query: ClientQuery) => this.#listClients(query);
    const gatherMetrics = () => this.#gatherMetrics();
    void owner.failed.then(({ message, cause }) => {
      this.#tell({ kind: "store-failed", message });
      this.#resolveFailed({ message: `the store has failed, so the service ends: ${message}`, cause });
    });
    const { directory, listen, tls, otlp, service, fork, clock, random, log } = options;
    for (let number = 1; number <= options.workers; number++) {
      this.#unopened.add(number);
      this.#unready.add(number);
      const settings = { number, directory, address, host: listen.host, otlp, service, logLevel: log.level };
      const kept = { usage, contexts: this.#keptContexts ?? noContexts };
      const asked = { owner, visibility, ...kept, listClients, gatherMetrics };
      this.#places.push(new WorkerPlace({ settings, tls, fork, ...asked, clock, random, log }, this));
    }
    this.#tick(clock.monotonicMs());
  }

  announce(): Promise<void> {
    this.#isAnnounced = true;
    this.#tell({ kind: "announce" });
    return this.#ready;
  }

  retire(): void {
    this.#isRetired = true;
    this.#tell({ kind: "retire" });
  }

  async overview(): Promise<Overview> {
    const asked = new Set<WorkerProcess>();
    while (this.#stopped === undefined) {
      const worker = this.#places.find(({ open }) => open !== undefined && !asked.has(open))?.open;
      if (worker === undefined) {
        await new Promise<void>((resolve) => this.#onNextOpened.push(resolve));
        continue;
      }
      asked.add(worker);
      try {
        return await worker.overview();
      } catch (cause) {
        if (!(cause instanceof LinkBroken)) throw cause;
      }
    }
    throw new Error("no worker serves");
  }

  async #listClients(query: ClientQuery): Promise<ClientListing> {
    return joinListings(await this.#askAll((worker) => worker.ownClients(query)), query);
  }

  async #gatherMetrics(): Promise<readonly ProcessReport[]> {
    const own: ProcessReport = { worker: "supervisor", families: await processMetrics() };
    const reports = await this.#askAll((worker) => worker.metrics());
    return [own, ...reports.filter((report) => report !== undefined)];
  }

  /** What the workers tell that answer in time. */
  async #askAll<T>(ask: (worker: WorkerProcess) => Promise<T>): Promise<readonly T[]> {
    let stopTimer: StopTimer = () => undefined;
    const timeUp = new Promise<readonly T[]>((resolve) => {
      stopTimer = this.#options.clock.after(ANSWER_TIMEOUT_MS, () => resolve([]));
    });
    const toList = (answer: Promise<T>): Promise<readonly T[]> =>
      answer.then(
        (told) => [told],
        () => [],
      );
    const asked = this.#places.flatMap(({ open }) => (open === undefined ? [] : [toList(ask(open))]));
    const told = await Promise.all(asked.map((answer) => Promise.race([answer, timeUp])));
    stopTimer();
    return told.flat();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    this.#tellOpened();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  accept(socket: Socket): void {
    // Nobody reads it here, so nothing else is heard of it.
    socket.on("error", () => socket.destroy());
    this.#place(socket);
  }

  placeOpened(place: WorkerPlace): void {
    this.#unopened.delete(place.number);
    // Announced only to be ready is none that comes while the service goes.
    if (this.#isAnnounced && !this.#isRetired) place.open?.notify({ kind: "announce" });
    for (const socket of this.#waiting.empty()) this.#place(socket);
    this.#tellOpened();
    if (this.#unopened.size === 0) this.#resolveOpened();
  }

  placeReady(place: WorkerPlace): void {
    this.#unready.delete(place.number);
    if (this.#unready.size === 0) this.#resolveReady();
  }

  placeLost(place: WorkerPlace, { sockets }: WorkerEnd): void {
    this.#evener.forget(place.number);
    for (const socket of sockets) this.#place(socket);
  }

  placeGivenUp(place: WorkerPlace, { code, signal, problem }: WorkerEnd): void {
    const why = problem ?? `exit code ${code ?? "none"}, signal ${signal ?? "none"}`;
    const message = `worker ${place.number} ends again and again before it is ready, so the service ends: ${why}`;
    this.#resolveFailed({ message, cause: undefined });
  }

  #tellOpened(): void {
    for (const resolve of this.#onNextOpened.splice(0)) resolve();
  }

  #place(socket: Socket): void {
    if (this.#stopped !== undefined) return void socket.destroy();
    const worker = this.#leastLoaded();
    if (worker === undefined) this.#waiting.add(socket);
    else worker.give(socket);
  }

  #leastLoaded(): WorkerProcess | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    let least: WorkerProcess | undefined;
    for (const { open } of this.#places) {
      if (open === undefined || open.silentMs(nowMs) > SILENT_MS) continue;
      if (least === undefined || open.weight < least.weight) least = open;
    }
    return least;
  }

  #tell(notice: Parameters<WorkerProcess["notify"]>[0]): void {
    for (const { open } of this.#places) open?.notify(notice);
  }

  /** Looks after the workers, and again in a second. */
  #tick(lastMs: number): void {
    const { clock } = this.#options;
    this.#stopTick = clock.after(TICK_MS, () => {
      const nowMs = clock.monotonicMs();
      if (nowMs - lastMs > TICK_MS + LATE_MS) for (const { open } of this.#places) open?.excuse(nowMs);
      for (const place of this.#places) for (const socket of place.check(nowMs)) this.#place(socket);
      for (const socket of this.#waiting.empty()) this.#place(socket);
      this.#evenOut(nowMs);
      this.#tick(nowMs);
    });
  }

  #evenOut(nowMs: number): void {
    const watchers = new Map<number, number>();
    for (const { number, open } of this.#places) {
      // Where one is missing or hung, its streams are on their way to others.
      if (open === undefined || open.silentMs(nowMs) > SILENT_MS) return;
      watchers.set(number, open.watchers);
    }
    for (const [number, count] of this.#evener.next(watchers, nowMs)) {
      this.#places[number - 1]?.open?.notify({ kind: "recycle", count });
    }
  }

  async #drain(): Promise<void> {
    this.#stopTick();
    // Its own promise waits for connections that are the workers'.
    void this.#source.close();
    for (const socket of this.#waiting.empty()) socket.destroy();
    await Promise.all(this.#places.map((place) => place.drain(DRAIN_DEADLINE_MS, KILL_AFTER_MS)));
    await this.#keptUsage?.close();
    await this.#keptContexts?.close();
  }
}
