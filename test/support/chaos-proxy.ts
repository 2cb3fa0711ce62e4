import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { AnswerBuffer } from "./answer-buffer.js";

/** What the proxy does to every connection, until it is switched. */
export type ProxyMode =
  | { readonly kind: "pass" }
  /** All that is sent arrives so much later, in both directions. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** Each direction of each connection carries so much. */
  | { readonly kind: "throttle"; readonly bytesPerSecond: number }
  /** Half-open: connections are accepted and stay open, nothing is carried, and that one side has ended is not told. */
  | { readonly kind: "stall" }
  /** New connections are reset at once. Open ones go on; `cut` ends them. */
  | { readonly kind: "refuse" }
  /** Each connection is cut after so many bytes of the server's, counted from the switch or its own start. */
  | { readonly kind: "cut-after-bytes"; readonly sizeBytes: number }
  /** Each connection is cut after that time, counted from the switch or its own start. */
  | { readonly kind: "cut-after-time"; readonly afterMs: number }
  /**
   * Holds back the body of each answer until the server ends it, or until that much of it has come. Concerns connections
   * that are opened from now on; the switch to another mode releases what is held.
   */
  | { readonly kind: "buffer"; readonly sizeBytes: number };

/** How a connection is cut: with a reset, or with an end as if both sides had said all. */
export type CutKind = "reset" | "end";

/** What went through, since the start. */
export interface ProxyCounts {
  connections: number;
  refused: number;
  cuts: number;
  bytesToServer: number;
  bytesToClient: number;
}

const PASS: ProxyMode = { kind: "pass" };
/** What a direction may hold before it stops reading. */
const QUEUE_BYTES = 65_536;
const THROTTLE_TICK_MS = 50;

/** Starts a TCP proxy on a free port of 127.0.0.1, in front of a port of the same host. */
export async function openChaosProxy(targetPort: number, mode: ProxyMode = PASS): Promise<ChaosProxy> {
  const proxy = new ChaosProxy(targetPort, mode);
  await proxy.listen();
  return proxy;
}

/** Stands between clients and a server, and spoils the connections between them as it is told. */
export class ChaosProxy implements AsyncDisposable {
  readonly counts: ProxyCounts = { connections: 0, refused: 0, cuts: 0, bytesToServer: 0, bytesToClient: 0 };
  readonly #server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  readonly #passages = new Set<Passage>();
  #mode: ProxyMode;

  constructor(
    /** Where new connections lead to. May be changed. */
    public targetPort: number,
    mode: ProxyMode,
  ) {
    this.#mode = mode;
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** How many connections are open. */
  get open(): number {
    return this.#passages.size;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** From now on, for open connections too. */
  switchTo(mode: ProxyMode): void {
    this.#mode = mode;
    for (const passage of this.#passages) passage.switchTo(mode);
  }

  /** Cuts all open connections now. Returns how many. */
  cut(kind: CutKind = "reset"): number {
    const passages = [...this.#passages];
    for (const passage of passages) passage.cut(kind);
    return passages.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((closed) => this.#server.close(closed));
  }

  #accept(client: Socket): void {
    if (this.#mode.kind === "refuse") {
      this.counts.refused++;
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    this.counts.connections++;
    const server = connect({ port: this.targetPort, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const passage = new Passage(client, server, this.counts, () => this.#passages.delete(passage));
    this.#passages.add(passage);
    passage.switchTo(this.#mode);
  }
}

/** One connection through the proxy. */
class Passage {
  readonly #toServer: Lane;
  readonly #toClient: Lane;
  #cutTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(
    readonly client: Socket,
    readonly server: Socket,
    readonly counts: ProxyCounts,
    readonly closed: () => void,
  ) {
    const cut = (): void => this.cut("reset");
    this.#toServer = new Lane(client, server, (sizeBytes) => {
      counts.bytesToServer += sizeBytes;
    });
    this.#toClient = new Lane(server, client, (sizeBytes) => {
      counts.bytesToClient += sizeBytes;
      if (this.#toClient.isSpent) this.cut("reset");
    });
    for (const socket of [client, server]) {
      socket.on("error", cut);
      socket.on("close", () => this.#closeIfBothAre());
    }
  }

  switchTo(mode: ProxyMode): void {
    clearTimeout(this.#cutTimer);
    if (mode.kind === "cut-after-time") this.#cutTimer = setTimeout(() => this.cut("reset"), mode.afterMs);
    this.#toServer.switchTo(mode.kind === "cut-after-bytes" || mode.kind === "buffer" ? PASS : mode);
    this.#toClient.switchTo(mode);
  }

  cut(kind: CutKind): void {
    if (this.#isClosed) return;
    this.counts.cuts++;
    this.#close();
    for (const socket of [this.client, this.server]) {
      if (kind === "reset" && !socket.connecting) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #closeIfBothAre(): void {
    if (!this.#isClosed && this.client.destroyed && this.server.destroyed) this.#close();
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#cutTimer);
    this.#toServer.stop();
    this.#toClient.stop();
    this.closed();
  }
}

/** One direction of a connection. */
class Lane {
  readonly #queue: { readonly bytes: Buffer; readonly since: number }[] = [];
  #queuedBytes = 0;
  #mode: ProxyMode = PASS;
  /** How much may still be carried before the connection is cut. */
  #leftBytes = Number.POSITIVE_INFINITY;
  #buffer: AnswerBuffer | undefined;
  #hasBegun = false;
  #sourceEnded = false;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly source: Socket,
    readonly target: Socket,
    readonly carried: (sizeBytes: number) => void,
  ) {
    source.on("data", (bytes) => this.#take(bytes));
    source.on("end", () => {
      this.#sourceEnded = true;
      this.#release();
      this.#advance();
    });
    target.on("drain", () => {
      this.#isFull = false;
      this.#advance();
    });
  }

  get isSpent(): boolean {
    return this.#leftBytes <= 0;
  }

  switchTo(mode: ProxyMode): void {
    this.#mode = mode;
    this.#leftBytes = mode.kind === "cut-after-bytes" ? mode.sizeBytes : Number.POSITIVE_INFINITY;
    if (mode.kind !== "buffer") this.#release();
    else if (!this.#hasBegun) this.#buffer = new AnswerBuffer(mode.sizeBytes);
    this.#advance();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#mode = { kind: "stall" };
  }

  #take(bytes: Buffer): void {
    this.#hasBegun = true;
    if (this.#buffer === undefined) this.#enqueue(bytes);
    else for (const part of this.#buffer.take(bytes)) this.#enqueue(part);
    this.#advance();
  }

  #release(): void {
    const held = this.#buffer?.release();
    this.#buffer = undefined;
    if (held !== undefined) for (const part of held) this.#enqueue(part);
  }

  #enqueue(bytes: Buffer): void {
    this.#queue.push({ bytes, since: performance.now() });
    this.#queuedBytes += bytes.length;
  }

  /** Carries what may be carried by now, and sees to it that it is called again when more may be. */
  #advance(): void {
    clearTimeout(this.#timer);
    if (this.#mode.kind === "stall" || this.#queuedBytes >= QUEUE_BYTES) this.source.pause();
    else this.source.resume();
    while (this.#mode.kind !== "stall" && !this.#isFull) {
      const first = this.#queue[0];
      if (first === undefined) {
        if (this.#sourceEnded && !this.target.writableEnded) this.target.end();
        return;
      }
      if (!this.#carryPart(first.bytes, first.since)) return;
    }
  }

  /** Returns whether more may follow at once. */
  #carryPart(bytes: Buffer, since: number): boolean {
    const mode = this.#mode;
    if (mode.kind === "delay") {
      const waitMs = since + mode.delayMs - performance.now();
      if (waitMs > 0) return this.#advanceAfter(waitMs);
    }
    if (mode.kind === "throttle") {
      const sizeBytes = Math.max(1, Math.floor((mode.bytesPerSecond * THROTTLE_TICK_MS) / 1000));
      this.#carry(bytes.subarray(0, sizeBytes));
      return this.#advanceAfter((Math.min(sizeBytes, bytes.length) / mode.bytesPerSecond) * 1000);
    }
    this.#carry(bytes.subarray(0, this.#leftBytes));
    return true;
  }

  #advanceAfter(waitMs: number): false {
    this.#timer = setTimeout(() => this.#advance(), waitMs);
    return false;
  }

  #carry(bytes: Buffer): void {
    const first = this.#queue.shift();
    if (first !== undefined && first.bytes.length > bytes.length) {
      this.#queue.unshift({ bytes: first.bytes.subarray(bytes.length), since: first.since });
    }
    this.#queuedBytes -= bytes.length;
    this.#leftBytes -= bytes.length;
    if (!this.target.destroyed) this.#isFull = !this.target.write(bytes);
    this.carried(bytes.length);
  }
}
