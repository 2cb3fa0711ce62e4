import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Clock } from "../base/index.js";
import type {
  ClientListing,
  ClientQuery,
  KeptContexts,
  KeyMaterialSource,
  ListConnectedClients,
  ProcessReport,
  UsageLedger,
} from "../server/index.js";
import type { StoreOwner } from "../store/index.js";
import { type Load, weight } from "./balance.js";
import { Link } from "./link.js";
import type { Overview, SupervisorSpeech, WorkerReport, WorkerSettings, WorkerSpeech } from "./messages.js";
import { toPort } from "./port.js";

/** How a worker's process ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it said was wrong. */
  readonly problem: string | undefined;
  /** Connections that were meant for it and have not left. */
  readonly sockets: readonly Socket[];
}

export interface WorkerProcessOptions {
  readonly settings: Omit<WorkerSettings, "keyMaterial">;
  /** What to speak TLS with. Undefined: clear text. */
  readonly tls: KeyMaterialSource | undefined;
  readonly fork: () => ChildProcess;
  readonly owner: StoreOwner;
  readonly usage: UsageLedger;
  readonly contexts: KeptContexts;
  /** Asks all workers. */
  readonly listClients: ListConnectedClients;
  readonly gatherMetrics: () => Promise<readonly ProcessReport[]>;
  readonly clock: Clock;
  readonly onOpened: () => void;
  /** It shows a later revision. */
  readonly onShows: () => void;
  readonly onReady: () => void;
  readonly onEnded: (end: WorkerEnd) => void;
}

const NOTHING: WorkerReport = { received: 0, connections: 0, watchers: 0 };

/** One process of a worker, from its start to its end, as the supervisor sees it. */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #link: Link<SupervisorSpeech, WorkerSpeech>;
  readonly #unfollow: () => void;
  readonly #queue: Socket[] = [];
  /**
   * Sent, and not yet taken. One at a time: until the other end has it, Node holds back all messages behind it. Node would
   * never close one that got lost with its process, so that is done here.
   */
  #inHand: Socket | undefined;
  #given = 0;
  #report = NOTHING;
  #revision = 0n;
  #heardAtMs: number;
  #problem: string | undefined;
  #isClosed = false;
  #exit: Pick<WorkerEnd, "code" | "signal"> | undefined;
  #hasEnded = false;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#heardAtMs = options.clock.monotonicMs();
    this.#child = options.fork();
    this.#link = new Link<SupervisorSpeech, WorkerSpeech>(toPort(this.#child), {
      notice: (notice) => this.#hear(notice),
      answer: (question) => this.#answer(question),
      closed: () => {
        this.#isClosed = true;
        // It exits, or is made to: a worker without its supervisor is none.
        this.kill();
        this.#endAfterExit();
      },
    });
    const { settings, tls, owner } = options;
    this.#link.notify({ kind: "start", settings: { ...settings, keyMaterial: tls?.current } });
    const unfollow = owner.follow((edges) => this.#link.notify({ kind: "durable", edges }));
    const unfollowTls = tls?.onChange(() => this.#link.notify({ kind: "key-material", material: tls.current }));
    this.#unfollow = () => {
      unfollow();
      unfollowTls?.();
    };
    this.#child.once("exit", (code, signal) => {
      this.#exit = { code, signal };
      this.#endAfterExit();
    });
    this.#child.once("error", (error) => {
      this.#problem ??= error.message;
      // There is no process, so no exit.
      if (this.#child.pid === undefined) this.#end({ code: null, signal: null });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get number(): number {
    return this.#options.settings.number;
  }

  /** What it answers with, as far as it has said. */
  get revision(): bigint {
    return this.#revision;
  }

  get watchers(): number {
    return this.#report.watchers;
  }

  get weight(): number {
    const load: Load = { ...this.#report, onTheWay: this.#given - this.#report.received };
    return weight(load);
  }

  /** How long it has said nothing. */
  silentMs(nowMs: number): number {
    return nowMs - this.#heardAtMs;
  }

  /** Overlooks the silence until now: nobody has listened. */
  excuse(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** Hands a connection over, after those before it. */
  give(socket: Socket): void {
    this.#given++;
    this.#queue.push(socket);
    this.#handOver();
  }

  /** Takes back the connections that have not left yet. */
  takeBack(): readonly Socket[] {
    this.#given -= this.#queue.length;
    return this.#queue.splice(0);
  }

  notify(notice: Exclude<SupervisorSpeech["notice"], { kind: "start" | "durable" | "connection" }>): void {
    this.#link.notify(notice);
  }

  overview(): Promise<Overview> {
    return this.#link.ask({ kind: "overview" });
  }

  /** Who has a stream of changes open there. Rejects with LinkBroken. */
  ownClients(query: ClientQuery): Promise<ClientListing> {
    return this.#link.ask({ kind: "own-clients", query });
  }

  /** What it counts. Rejects with LinkBroken. */
  metrics(): Promise<ProcessReport | undefined> {
    return this.#link.ask({ kind: "own-metrics" });
  }

  kill(): void {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
  }

  #answer(question: WorkerSpeech["question"]) {
    const { owner, usage, contexts, listClients, gatherMetrics } = this.#options;
    switch (question.kind) {
      case "commit":
        return owner.commit(question.transaction);
      case "seen-by-all":
        return owner.seenByAll(question.revision).then(() => undefined);
      case "record-usage":
        return usage.record(question.report);
      case "list-usage":
        return usage.list(question.query);
      case "list-hourly-usage":
        return usage.listHours(question.query);
      case "keep-contexts":
        return contexts.keep(question.environment, question.contexts, question.sinceMs).then(() => undefined);
      case "list-contexts":
        return contexts.list(question.environment);
      case "count-contexts":
        return contexts.count(question.environment);
      case "list-clients":
        return listClients(question.query);
      case "gather-metrics":
        return gatherMetrics();
    }
  }

  #handOver(): void {
    if (this.#inHand !== undefined) return;
    this.#inHand = this.#queue.shift();
    if (this.#inHand !== undefined) this.#link.notify({ kind: "connection" }, this.#inHand);
  }

  /** The worker has its own hold on what is in hand: letting go of it here closes nothing. */
  #letGo(): void {
    this.#inHand?.destroy();
    this.#inHand = undefined;
  }

  #hear(notice: WorkerSpeech["notice"]): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    switch (notice.kind) {
      case "taken":
        this.#letGo();
        this.#handOver();
        break;
      case "opened":
        this.#revision = notice.revision;
        this.#options.onOpened();
        break;
      case "shows":
        this.#revision = notice.revision;
        this.#options.onShows();
        break;
      case "ready":
        this.#options.onReady();
        break;
      case "report":
        this.#report = notice.report;
        break;
      case "problem":
        this.#problem = notice.message;
        break;
    }
  }

  /** What it said last, such as what is wrong, can come after the news of its exit, but not after its line has closed. */
  #endAfterExit(): void {
    if (this.#exit !== undefined && this.#isClosed) this.#end(this.#exit);
  }

  #end(exit: Pick<WorkerEnd, "code" | "signal">): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#unfollow();
    // It may have been read from already: nobody else could make sense of the rest.
    this.#letGo();
    const sockets = this.takeBack();
    this.#options.onEnded({ ...exit, problem: this.#problem, sockets });
  }
}
