import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { Clock } from "../base/index.js";
import {
  type ClientListing,
  type FlagwireServer,
  ListenProblem,
  openServer,
  openTelemetry,
  type ProcessReport,
  type Telemetry,
  TelemetryProblem,
} from "../server/index.js";
import { isStoreProblem, openFollowerStore, type Store } from "../store/index.js";
import { HandedKeyMaterial } from "./handed-key-material.js";
import { HandedSockets } from "./handed-sockets.js";
import { Link } from "./link.js";
import type { Overview, SupervisorSpeech, WorkerReport, WorkerSettings, WorkerSpeech } from "./messages.js";
import type { Port } from "./port.js";
import { createRemoteKeptContexts } from "./remote-kept-contexts.js";
import { createRemoteOwner } from "./remote-owner.js";
import { createRemoteUsageLedger } from "./remote-usage-ledger.js";

/** What a worker is run with. */
export interface WorkerOptions {
  /** The line to the supervisor. */
  readonly port: Port;
  readonly clock: Clock;
  readonly createLog: (settings: WorkerSettings) => Logger;
  /** Ends the process. Must not return. */
  readonly exit: (code: number) => never;
}

/** Serves the connections that the supervisor hands over, until it says otherwise or is gone. */
export function runWorker(options: WorkerOptions): void {
  new Worker(options);
}

/** How often the supervisor hears what has changed, and at the least that the worker is alive. */
const REPORT_MS = 50;
const SIGN_OF_LIFE_MS = 500;

class Worker {
  readonly #options: WorkerOptions;
  readonly #link: Link<WorkerSpeech, SupervisorSpeech>;
  readonly #owner = createRemoteOwner(() => this.#link);
  #resolveAnnounced: () => void = () => undefined;
  readonly #announced = new Promise<void>((resolve) => {
    this.#resolveAnnounced = resolve;
  });
  #sockets: HandedSockets | undefined;
  /** How many connections were handed over, lost ones too. */
  #received = 0;
  #keyMaterial: HandedKeyMaterial | undefined;
  #store: Store | undefined;
  #telemetry: Telemetry | undefined;
  #server: FlagwireServer | undefined;
  #number: string | undefined;
  /** What the supervisor knows to be visible here. */
  #shown = 0n;
  #hasOwnerFailed = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#link = new Link<WorkerSpeech, SupervisorSpeech>(options.port, {
      notice: (notice, socket) => {
        if (notice.kind === "connection") this.#take(socket);
        if (!this.#owner.hear(notice)) this.#obey(notice);
        if (notice.kind === "durable") void this.#show();
      },
      answer: (question) => this.#answer(question),
      // Whatever is in flight can no longer be promised.
      closed: () => options.exit(1),
    });
    void this.#owner.failed.then(() => {
      this.#hasOwnerFailed = true;
    });
  }

  #obey(notice: SupervisorSpeech["notice"]): void {
    switch (notice.kind) {
      case "start":
        void this.#start(notice.settings);
        break;
      case "key-material":
        this.#keyMaterial?.replace(notice.material);
        break;
      case "announce":
        this.#resolveAnnounced();
        break;
      case "retire":
        this.#server?.retire();
        break;
      case "recycle":
        this.#server?.recycle(notice.count);
        break;
      case "drain":
        void this.#drain(notice.deadlineMs);
        break;
    }
  }

  /** A connection can be lost on the way, and then is undefined. */
  #take(socket: Socket | undefined): void {
    this.#received++;
    this.#link.notify({ kind: "taken" });
    if (socket === undefined) return;
    // Writes that were answered before it came were told before it, and are seen there.
    if (this.#server !== undefined && this.#server.revision >= this.#owner.told) this.#sockets?.add(socket);
    else void this.#takeLater(socket);
  }

  async #takeLater(socket: Socket): Promise<void> {
    // Until a server takes over, an error would be nobody's, and end the process.
    const drop = (): void => void socket.destroy();
    socket.on("error", drop);
    if (!(await this.#reaches())) return drop();
    socket.off("error", drop);
    this.#sockets?.add(socket);
  }

  /** Waits for all that is durable. False where it does not serve, or cannot follow the store any longer. */
  async #reaches(): Promise<boolean> {
    try {
      await this.#server?.reached(this.#owner.told);
      return this.#server !== undefined;
    } catch {
      return false;
    }
  }

  /** Tells when what is durable is visible here. */
  async #show(): Promise<void> {
    if (!(await this.#reaches())) return;
    const { revision = 0n } = this.#server ?? {};
    if (revision <= this.#shown) return;
    this.#shown = revision;
    this.#link.notify({ kind: "shows", revision });
  }

  async #start(settings: WorkerSettings): Promise<void> {
    const log = this.#options.createLog(settings);
    try {
      await this.#serve(settings, log);
    } catch (cause) {
      this.#fail(log, cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  async #serve(settings: WorkerSettings, log: Logger): Promise<void> {
    const { number, directory, address, host, keyMaterial, otlp, service } = settings;
    // Before anything is waited for: the next may come at any time.
    this.#keyMaterial = keyMaterial && new HandedKeyMaterial(keyMaterial);
    const store = await openFollowerStore({ path: directory, owner: this.#owner });
    if (isStoreProblem(store)) return this.#fail(log, store.message, store.cause);
    this.#store = store;
    const { clock } = this.#options;
    const telemetry =
      otlp &&
      (await openTelemetry({ settings: otlp, version: service.version ?? "unknown", worker: number, log, clock }));
    if (telemetry instanceof TelemetryProblem) return this.#fail(log, telemetry.message, undefined);
    this.#telemetry = telemetry;
    const source = new HandedSockets(address);
    this.#sockets = source;
    const server = await openServer({
      ...service,
      store,
      source,
      listen: { host, port: address.port },
      tls: this.#keyMaterial,
      log,
      clock,
      tracing: telemetry?.tracing,
      usage: createRemoteUsageLedger(this.#link),
      contexts: createRemoteKeptContexts(this.#link),
      dataDirectory: directory,
      gatherMetrics: () => this.#link.ask({ kind: "gather-metrics" }),
      listClients: (query) => this.#link.ask({ kind: "list-clients", query }),
      prepare: (opened) => {
        this.#open(opened, number);
        return this.#announced;
      },
    });
    if (server instanceof ListenProblem) return this.#fail(log, server.message, undefined);
    void server.failed.then(({ message, cause }) => {
      // The supervisor knows of its own store's failure, and drains.
      if (!this.#hasOwnerFailed) this.#fail(log, message, cause);
    });
    this.#link.notify({ kind: "ready" });
  }

  /** Says that it takes connections. */
  #open(server: FlagwireServer, number: number): void {
    this.#server = server;
    this.#number = String(number);
    this.#shown = server.revision;
    this.#link.notify({ kind: "opened", revision: this.#shown });
    void this.#show();
    this.#report(undefined, 0);
  }

  async #answer(question: SupervisorSpeech["question"]): Promise<Overview | ClientListing | ProcessReport | undefined> {
    switch (question.kind) {
      case "overview":
        return this.#overview();
      case "own-clients":
        return this.#server?.listClients(question.query) ?? { clients: [], totalCount: 0 };
      case "own-metrics":
        return this.#server?.metrics(this.#number);
    }
  }

  #overview(): Overview {
    const keys = this.#server?.flagKeys() ?? [];
    return {
      revision: this.#server?.revision ?? 0n,
      flagCount: keys.length,
      firstFlagKey: keys[0],
      hasTokens: this.#server?.hasTokens() ?? false,
    };
  }

  /** Tells how it is, when that has changed and as a sign of life. */
  #report(last: WorkerReport | undefined, toldMs: number): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const report: WorkerReport = {
      received: this.#received,
      connections: this.#sockets?.size ?? 0,
      watchers: this.#server?.stats().watchers ?? 0,
    };
    const isNews =
      report.received !== last?.received ||
      report.connections !== last.connections ||
      report.watchers !== last.watchers ||
      nowMs - toldMs >= SIGN_OF_LIFE_MS;
    if (isNews) this.#link.notify({ kind: "report", report });
    clock.after(REPORT_MS, () => this.#report(isNews ? report : last, isNews ? nowMs : toldMs));
  }

  async #drain(deadlineMs: number): Promise<void> {
    await this.#server?.stop(deadlineMs);
    await this.#store?.close();
    await this.#telemetry?.close();
    this.#options.exit(0);
  }

  #fail(log: Logger, message: string, err: unknown): void {
    log.fatal({ err }, message);
    this.#link.notify({ kind: "problem", message }, undefined, () => this.#options.exit(3));
  }
}
