import type { ChildProcess } from "node:child_process";
import type { Logger } from "pino";
import type { Clock, Random, StopTimer } from "../base/index.js";
import type {
  KeptContexts,
  KeyMaterialSource,
  ListConnectedClients,
  ProcessReport,
  UsageLedger,
} from "../server/index.js";
import type { StoreOwner } from "../store/index.js";
import type { WorkerSettings } from "./messages.js";
import { Restarts } from "./restarts.js";
import { SILENT_MS } from "./silence.js";
import type { Visibility } from "./visibility.js";
import { type WorkerEnd, WorkerProcess } from "./worker-process.js";

/**
 * `starting`: it does not take connections yet. `open`: it does. `pausing`: the process has ended and the next is to start.
 * `draining`: it is told to end, or there is none. `ended`: for good.
 */
type PlaceState =
  | { readonly kind: "pausing"; readonly stop: StopTimer }
  | { readonly kind: "starting"; readonly worker: WorkerProcess; readonly sinceMs: number }
  | { readonly kind: "open"; readonly worker: WorkerProcess; readonly readyAtMs: number | undefined }
  | { readonly kind: "draining"; readonly worker: WorkerProcess }
  | { readonly kind: "ended" };

export interface PlaceOptions {
  readonly settings: Omit<WorkerSettings, "keyMaterial">;
  readonly tls: KeyMaterialSource | undefined;
  readonly fork: () => ChildProcess;
  readonly owner: StoreOwner;
  readonly visibility: Visibility<WorkerProcess>;
  readonly usage: UsageLedger;
  readonly contexts: KeptContexts;
  readonly listClients: ListConnectedClients;
  readonly gatherMetrics: () => Promise<readonly ProcessReport[]>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Who is told what becomes of a place. */
export interface PlaceHost {
  /** It takes connections. */
  placeOpened(place: WorkerPlace): void;
  /** It reports that it is ready. */
  placeReady(place: WorkerPlace): void;
  /** Its process has ended, unasked, with connections that need another. */
  placeLost(place: WorkerPlace, end: WorkerEnd): void;
  /** One process after the other ends before it is ready. */
  placeGivenUp(place: WorkerPlace, end: WorkerEnd): void;
}

/** Then it is killed and replaced. */
const HUNG_MS = 30_000;
/** The same while it starts: a large directory takes a while to load, and it says nothing meanwhile. */
const START_MS = 120_000;

/** One of the N places of a supervisor, and the process that fills it. */
export class WorkerPlace {
  readonly #options: PlaceOptions;
  readonly #host: PlaceHost;
  readonly #restarts: Restarts;
  readonly #ended: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #state: PlaceState = { kind: "ended" };

  constructor(options: PlaceOptions, host: PlaceHost) {
    this.#options = options;
    this.#host = host;
    this.#restarts = new Restarts(options.random);
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#start();
  }

  get number(): number {
    return this.#options.settings.number;
  }

  /** The worker, while it takes connections. */
  get open(): WorkerProcess | undefined {
    return this.#state.kind === "open" ? this.#state.worker : undefined;
  }

  /** Looks whether the worker is alive. Gives connections back that it does not take. */
  check(nowMs: number): ReturnType<WorkerProcess["takeBack"]> {
    const state = this.#state;
    if (state.kind === "starting" && nowMs - state.sinceMs > START_MS) this.#giveUpOn(state.worker, "did not start");
    if (state.kind !== "open") return [];
    const silentMs = state.worker.silentMs(nowMs);
    if (silentMs > HUNG_MS) this.#giveUpOn(state.worker, "says nothing any more");
    return silentMs > SILENT_MS ? state.worker.takeBack() : [];
  }

  /** Lets it finish, for `deadlineMs`, and gives it `killAfterMs` until it is made to. Resolves when it has ended. */
  drain(deadlineMs: number, killAfterMs: number): Promise<void> {
    const state = this.#state;
    switch (state.kind) {
      case "pausing":
        state.stop();
        this.#finish();
        break;
      case "starting":
      case "open":
        this.#state = { kind: "draining", worker: state.worker };
        state.worker.notify({ kind: "drain", deadlineMs });
        this.#options.clock.after(killAfterMs, () => state.worker.kill());
        break;
    }
    return this.#ended;
  }

  #start(): void {
    const { settings, tls, fork, owner, visibility, usage, contexts, listClients, gatherMetrics, clock } =
      this.#options;
    const worker = new WorkerProcess({
      settings,
      tls,
      fork,
      owner,
      usage,
      contexts,
      listClients,
      gatherMetrics,
      clock,
      onOpened: () => {
        visibility.moved(worker);
        this.#open(worker);
      },
      onShows: () => visibility.moved(worker),
      onReady: () => this.#ready(worker),
      onEnded: (end) => {
        visibility.forget(worker);
        this.#onEnded(end);
      },
    });
    this.#state = { kind: "starting", worker, sinceMs: clock.monotonicMs() };
  }

  #open(worker: WorkerProcess): void {
    if (this.#state.kind !== "starting") return;
    this.#state = { kind: "open", worker, readyAtMs: undefined };
    this.#host.placeOpened(this);
  }

  #ready(worker: WorkerProcess): void {
    if (this.#state.kind !== "open") return;
    const { clock, log } = this.#options;
    this.#state = { kind: "open", worker, readyAtMs: clock.monotonicMs() };
    log.info({ worker: this.number, pid: worker.pid }, "a worker serves");
    this.#host.placeReady(this);
  }

  #giveUpOn(worker: WorkerProcess, why: string): void {
    this.#options.log.error({ worker: this.number, pid: worker.pid }, `a worker ${why} and is killed`);
    worker.kill();
  }

  #onEnded(end: WorkerEnd): void {
    const state = this.#state;
    if (state.kind === "draining") {
      this.#finish();
      for (const socket of end.sockets) socket.destroy();
      return;
    }
    const { clock, log } = this.#options;
    const readyAtMs = state.kind === "open" ? state.readyAtMs : undefined;
    const servedMs = readyAtMs === undefined ? undefined : clock.monotonicMs() - readyAtMs;
    const restart = this.#restarts.next(servedMs);
    const { code, signal, problem } = end;
    log.error({ worker: this.number, code, signal, problem }, "a worker has ended");
    if (restart.kind === "give-up") this.#finish();
    else this.#state = { kind: "pausing", stop: clock.after(restart.delayMs, () => this.#start()) };
    this.#host.placeLost(this, end);
    if (restart.kind === "give-up") this.#host.placeGivenUp(this, end);
  }

  #finish(): void {
    this.#state = { kind: "ended" };
    this.#resolveEnded();
  }
}
