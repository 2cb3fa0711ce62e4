import type { Message } from "@bufbuild/protobuf";
import type { ServerReadableStream } from "@grpc/grpc-js";
import type { StopTimer } from "../../base/index.js";
import { Refusal } from "../refusal.js";
import { type Decoded, Undecodable } from "./codec.js";
import type { GrpcCall, GrpcHost } from "./grpc-call.js";

type Result = IteratorResult<Message, undefined>;
type Waiter = { readonly resolve: (result: Result) => void; readonly reject: (reason: Refusal) => void };
type State =
  | { readonly kind: "open" }
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly why: Refusal };

const paused = new Refusal("DEADLINE_EXCEEDED", "CLIENT_STALLED", "the next message of the stream took too long");

/**
 * The messages that a client streams. The iteration ends only where the client has ended its stream: a client that
 * goes away, takes too long or sends garbage makes it throw a refusal, so that no handler takes a part for the whole.
 *
 * Not Node's own iterator: it destroys the stream when it is done, and with it the answers of a bidirectional call.
 */
export class RequestStream implements AsyncIterableIterator<Message, undefined> {
  readonly #source: ServerReadableStream<Decoded, Buffer>;
  readonly #host: GrpcHost;
  /** Longest wait for a message, in milliseconds. */
  readonly #maxPauseMs: number | undefined;
  #state: State = { kind: "open" };
  #waiter: Waiter | undefined;
  #stopTimer: StopTimer | undefined;

  constructor(source: ServerReadableStream<Decoded, Buffer>, call: GrpcCall, host: GrpcHost, maxPauseMs?: number) {
    this.#source = source;
    this.#host = host;
    this.#maxPauseMs = maxPauseMs;
    source.on("readable", () => this.#serve());
    source.once("end", () => this.#confirmEnd());
    call.onAbort((why) => this.#settle({ kind: "failed", why }));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (this.#maxPauseMs !== undefined) {
        this.#stopTimer = this.#host.clock.after(this.#maxPauseMs, () => this.#settle({ kind: "failed", why: paused }));
      }
      this.#serve();
    });
  }

  return(): Promise<Result> {
    this.#settle({ kind: "ended" });
    return Promise.resolve({ done: true, value: undefined });
  }

  // Node's clients cancel by ending the stream and then resetting it, in two writes. So an end counts only when the
  // sockets were looked at once more. A reset that comes later still is too late, as for any other call.
  #confirmEnd(): void {
    setImmediate(() => setImmediate(() => this.#settle({ kind: "ended" })));
  }

  #settle(state: State): void {
    if (this.#state.kind === "open") this.#state = state;
    this.#serve();
  }

  /** Answers the waiting `next`, if there is anything to answer. */
  #serve(): void {
    if (this.#waiter === undefined) return;
    const message = this.#state.kind === "open" ? (this.#source.read() as Decoded | null) : null;
    if (message instanceof Undecodable) this.#state = { kind: "failed", why: message.refusal };
    if (message !== null && !(message instanceof Undecodable))
      this.#takeWaiter()?.resolve({ done: false, value: message });
    else if (this.#state.kind === "failed") this.#takeWaiter()?.reject(this.#state.why);
    else if (this.#state.kind === "ended") this.#takeWaiter()?.resolve({ done: true, value: undefined });
  }

  #takeWaiter(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    return waiter;
  }
}
