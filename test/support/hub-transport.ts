import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type WatchRequest, WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type MirrorTransport, TransportError } from "../../src/client/index.js";
import type { WatchHub } from "../../src/watch/index.js";

/** A network between a mirror and a hub, in memory, that can fail in the ways that networks and servers do. */
export class HubTransport implements MirrorTransport {
  readonly address = "http://hub.test";
  /** What was asked for, in order. */
  readonly requests: WatchRequest[] = [];
  /** Every new stream fails with this. */
  refusal: TransportError | undefined;
  /** Changes messages on their way; undefined loses one. */
  tamper: (message: WatchResponse) => WatchResponse | undefined = (message) => message;
  openStreams = 0;
  isClosed = false;
  isUnrefed = false;
  #cuts = new Set<(error: TransportError) => void>();
  #isFrozen = false;
  #thaw: (() => void)[] = [];

  constructor(public hub: WatchHub) {}

  /** Breaks every open stream. */
  cut(error = new TransportError("UNAVAILABLE", "connection reset")): void {
    for (const cut of [...this.#cuts]) cut(error);
  }

  /** From now on nothing arrives and nothing fails, as on a half-open connection. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** What was held back arrives, and so does what follows. */
  thaw(): void {
    this.#isFrozen = false;
    for (const thaw of this.#thaw.splice(0)) thaw();
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    this.requests.push(fromBinary(WatchRequestSchema, toBinary(WatchRequestSchema, request)));
    if (this.refusal !== undefined) throw this.refusal;
    const server = new AbortController();
    const broken = this.#breakage(signal, server);
    this.openStreams++;
    try {
      const stream = this.hub.watch(request, server.signal);
      for (;;) {
        const next = await Promise.race([stream.next(), broken]);
        if (this.#isFrozen) await Promise.race([new Promise<void>((thaw) => this.#thaw.push(thaw)), broken]);
        if (next.done) throw new TransportError("UNAVAILABLE", "the stream has ended");
        const message = this.tamper(fromBinary(WatchResponseSchema, next.value.bytes));
        if (message !== undefined) yield message;
      }
    } finally {
      this.openStreams--;
      server.abort();
    }
  }

  unref(): void {
    this.isUnrefed = true;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.cut();
  }

  /** Rejects when the stream is cut or its client goes away; the server notices either way. */
  #breakage(signal: AbortSignal, server: AbortController): Promise<never> {
    const broken = new Promise<never>((_resolve, reject) => {
      const end = (error: TransportError): void => {
        this.#cuts.delete(end);
        server.abort();
        reject(error);
      };
      this.#cuts.add(end);
      signal.addEventListener("abort", () => end(new TransportError("CANCELLED", "the client went away")));
    });
    broken.catch(() => {});
    return broken;
  }
}
