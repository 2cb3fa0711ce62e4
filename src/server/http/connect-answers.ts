import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { type Encoded, isEncoded } from "../handlers.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { ConnectCall } from "./connect-call.js";

type Item = OrRefusal<Message | Encoded<Message>>;
type Result = IteratorResult<Message, undefined>;
type Waiter = { readonly resolve: (result: Result) => void; readonly reject: (error: ConnectError) => void };
type State =
  | { readonly kind: "open" }
  | { readonly kind: "ended" }
  /** Aborted while nobody waited: the next one who asks is told. */
  | { readonly kind: "failed"; readonly error: ConnectError };

/**
 * A handler's answers as Connect pulls them. A call that is aborted fails the pull that waits, even if the handler
 * does not notice; and however the stream ends, the handler's generator is returned, so that its `finally` runs.
 */
export class ConnectAnswers implements AsyncIterableIterator<Message, undefined> {
  readonly #answers: AsyncIterator<Item>;
  readonly #call: ConnectCall;
  /** Maps a refusal, or anything thrown, to Connect's error, and says so to the observer. */
  readonly #toError: (thrown: unknown) => ConnectError;
  readonly #observer: CallObserver;
  #state: State = { kind: "open" };
  #waiter: Waiter | undefined;

  constructor(
    answers: AsyncIterator<Item>,
    call: ConnectCall,
    toError: (thrown: unknown) => ConnectError,
    observer: CallObserver,
  ) {
    this.#answers = answers;
    this.#call = call;
    this.#toError = toError;
    this.#observer = observer;
    call.onAbort((reason) => this.#fail(reason));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#state.kind === "failed") reject(this.#state.error);
      else if (this.#state.kind === "ended") resolve({ done: true, value: undefined });
      else {
        this.#waiter = { resolve, reject };
        this.#answers.next().then(this.#onResult, this.#onThrown);
      }
    });
  }

  return(): Promise<Result> {
    const result: Result = { done: true, value: undefined };
    this.#end({ kind: "ended" })?.resolve(result);
    return Promise.resolve(result);
  }

  readonly #onResult = (result: IteratorResult<Item, unknown>): void => {
    if (result.done === true) this.#end({ kind: "ended" })?.resolve({ done: true, value: undefined });
    else if (isRefusal(result.value)) this.#fail(result.value);
    else this.#deliver(result.value);
  };

  readonly #onThrown = (thrown: unknown): void => {
    if (this.#state.kind === "open") this.#fail(thrown);
  };

  #deliver(answer: Message | Encoded<Message>): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.resolve({ done: false, value: isEncoded(answer) ? answer.message : answer });
    this.#observer.opened(this.#call);
  }

  #fail(thrown: unknown): void {
    if (this.#state.kind !== "open") return;
    const error = this.#toError(thrown);
    const waiter = this.#end({ kind: "failed", error });
    if (waiter === undefined) return;
    this.#state = { kind: "ended" };
    waiter.reject(error);
  }

  /** Ends the stream, and gives back the pull that waited. */
  #end(state: State): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (this.#state.kind !== "open") return waiter;
    this.#state = state;
    if (state.kind === "ended") this.#observer.end(this.#call, undefined);
    this.#call.finish();
    this.#answers.return?.().then(undefined, () => {
      // The stream is over; what a cleanup throws changes nothing for the client.
    });
    return waiter;
  }
}
