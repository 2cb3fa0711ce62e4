import { fromBinary } from "@bufbuild/protobuf";
import type { WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { TransportError } from "../../src/client/index.js";
import { type MessageRecord, type StreamRecord, toMessageRecord, toPositionRecord } from "../history-checker/index.js";
import type { Writable } from "../history-checker/sound-run.js";
import type { Chance } from "./chance.js";
import type { Cluster } from "./cluster.js";
import type { SimulatedClock } from "./simulated-clock.js";
import type { SimulatedWorker } from "./simulated-worker.js";
import { type Tampering, tamper } from "./tamper.js";
import { tellMessage, tellPosition } from "./tell-message.js";

/** How the way between one client and the server behaves. May be changed at any time. */
export interface LinkManners {
  /** How long a message takes at most. */
  maxDelayMs: number;
  /** Nothing arrives and nothing fails. */
  isFrozen: boolean;
  /** New connections fail. */
  isRefused: boolean;
  /** What is done to the next message that it can be done to. */
  tampering: Tampering | undefined;
}

export function goodManners(): LinkManners {
  return { maxDelayMs: 0, isFrozen: false, isRefused: false, tampering: undefined };
}

/** The way between one client and the server: its streams, and what goes wrong on them. */
export class Link {
  readonly manners = goodManners();
  /** Called when a message is about to be taken by the client, and when it has been. */
  arriving: (message: WatchResponse) => void = () => {};
  delivered: () => void = () => {};
  readonly #cuts = new Set<(error: Error) => void>();
  readonly #thaws = new Set<() => void>();

  constructor(
    readonly client: string,
    readonly network: Network,
    readonly chance: Chance,
  ) {}

  get openStreams(): number {
    return this.#cuts.size;
  }

  /** Breaks every stream. */
  cut(error: Error = new TransportError("UNAVAILABLE", "connection reset")): void {
    for (const cut of [...this.#cuts]) cut(error);
  }

  thaw(): void {
    this.manners.isFrozen = false;
    for (const thaw of [...this.#thaws]) thaw();
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    const { cluster, chance, records } = this.network;
    if (this.manners.isRefused || cluster.workers.length === 0) {
      throw new TransportError("UNAVAILABLE", "connection refused");
    }
    const worker = chance.pick(cluster.workers);
    const record = this.#record(request, worker);
    this.network.tell?.(`${record.client} watches ${record.environment} from ${tellPosition(record.asked)}`);
    records.push(record);
    const server = new AbortController();
    const broken = this.#breakage(worker, signal, server, record);
    try {
      const stream = worker.hub.watch(request, server.signal);
      for (;;) {
        const next = await Promise.race([stream.next(), broken]);
        if (next.done) {
          await this.#travel(record, broken);
          return this.#finish(record, request.once, server.signal);
        }
        const seen = toMessageRecord(fromBinary(WatchResponseSchema, next.value.bytes), this.network.clock.stamp());
        record.messages.push(seen as Writable<MessageRecord>);
        this.network.tell?.(`${record.client}: ${tellMessage(seen)}`);
        await this.#travel(record, broken);
        for (const message of this.#arriving(next.value.bytes)) {
          this.arriving(message);
          yield message;
          this.delivered();
        }
      }
    } finally {
      record.end ??= { at: this.network.clock.stamp(), how: "broken" };
      this.#letGo(server);
    }
  }

  #record(request: WatchRequest, worker: SimulatedWorker): Writable<StreamRecord> {
    const { epoch, revision } = worker.head;
    return {
      client: `${this.client} on ${worker.name}`,
      environment: request.environment,
      asked: toPositionRecord(request.position),
      once: request.once,
      openedAt: this.network.clock.stamp(),
      shownBefore: { epoch, revision: Number(revision) },
      unhindered: this.manners.maxDelayMs === 0 && !this.manners.isFrozen,
      messages: [],
    };
  }

  /** A server that has said goodbye, or answered a poll, closes the stream. */
  #finish(record: Writable<StreamRecord>, once: boolean, gone: AbortSignal): void {
    const saidGoodbye = record.messages.at(-1)?.goodbye !== undefined;
    if (gone.aborted) throw new TransportError("UNAVAILABLE", "the server has gone");
    record.end = { at: this.network.clock.stamp(), how: once && !saidGoodbye ? "ok" : "unavailable" };
    if (!once || saidGoodbye) throw new TransportError("UNAVAILABLE", "the stream has ended");
  }

  async #travel(record: Writable<StreamRecord>, broken: Promise<never>): Promise<void> {
    const { maxDelayMs, isFrozen } = this.manners;
    if (maxDelayMs > 0 || isFrozen) record.unhindered = false;
    if (maxDelayMs > 0) await Promise.race([this.network.clock.sleep(this.chance.integer(0, maxDelayMs)), broken]);
    while (this.manners.isFrozen) {
      let thawed = (): void => {};
      const thawing = new Promise<void>((resolve) => {
        thawed = resolve;
      });
      this.#thaws.add(thawed);
      await Promise.race([thawing, broken]).finally(() => this.#thaws.delete(thawed));
    }
  }

  #arriving(bytes: Uint8Array): readonly WatchResponse[] {
    const message = fromBinary(WatchResponseSchema, bytes);
    const { tampering } = this.manners;
    if (tampering === undefined) return [message];
    if (tampering === "undecodable") {
      this.manners.tampering = undefined;
      this.network.count(`tampered: ${tampering}`);
    }
    const tampered = tamper(message, tampering, this.chance);
    if (tampered === undefined) return [message];
    this.manners.tampering = undefined;
    this.network.count(`tampered: ${tampering}`);
    return tampered;
  }

  /** Rejects when the stream is cut, its server is gone, or its client goes away. */
  #breakage(
    worker: SimulatedWorker,
    signal: AbortSignal,
    server: AbortController,
    record: Writable<StreamRecord>,
  ): Promise<never> {
    const broken = new Promise<never>((_resolve, reject) => {
      const end = (error: Error): void => {
        this.#cuts.delete(end);
        record.end ??= { at: this.network.clock.stamp(), how: "broken" };
        reject(error);
      };
      this.#cuts.add(end);
      const whileOpen = { signal: server.signal };
      server.signal.addEventListener("abort", () => this.#cuts.delete(end));
      const gone = (): void => {
        // A client at the other end of a half-open connection does not learn of it.
        if (!this.manners.isFrozen) end(new TransportError("UNAVAILABLE", "the server has gone"));
        server.abort();
      };
      worker.gone.addEventListener("abort", gone, whileOpen);
      const leave = (): void => end(new TransportError("CANCELLED", "the client went away"));
      signal.addEventListener("abort", leave, whileOpen);
      if (signal.aborted) leave();
    });
    broken.catch(() => {});
    return broken;
  }

  /** A server that cannot be reached learns later that its client has gone, which may have another stream by then. */
  #letGo(server: AbortController): void {
    if (!this.manners.isFrozen || server.signal.aborted) server.abort();
    else this.network.clock.after(this.chance.integer(0, 5_000), () => server.abort());
  }
}

/** All links, and what was seen on them. */
export class Network {
  readonly records: Writable<StreamRecord>[] = [];

  constructor(
    readonly cluster: Cluster,
    readonly clock: SimulatedClock,
    readonly chance: Chance,
    /** Counts a fault. */
    readonly count: (fault: string) => void,
    /** Absent: nobody listens. */
    readonly tell: ((text: string) => void) | undefined,
  ) {}
}
