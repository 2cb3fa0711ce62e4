import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import { cancelledByClient, deadlineExceeded } from "../status.js";

/** One HTTP request and its answer, as far as Connect cannot tell. */
export interface Exchange {
  /** The client's address. */
  readonly peer: string;
  /** Whether the handler gave an answer: an error after that is one of encoding it. */
  answered: boolean;
  /** See Call. */
  clientName?: string | undefined;
}

export const exchangeKey = createContextKey<Exchange>({ peer: "unknown", answered: false });

/** A call that came through Connect. */
export class ConnectCall extends CallScope implements Call {
  readonly #context: HandlerContext;

  constructor(context: HandlerContext) {
    super();
    this.#context = context;
    // Connect aborts its signal after a finished call too; the scope is over by then.
    const { signal } = context;
    if (signal.aborted) this.#follow(signal);
    else signal.addEventListener("abort", () => this.#follow(signal), { once: true });
  }

  get peer(): string {
    return this.#context.values.get(exchangeKey).peer;
  }

  get clientName(): string | undefined {
    return this.#context.values.get(exchangeKey).clientName;
  }

  set clientName(name: string | undefined) {
    this.#context.values.get(exchangeKey).clientName = name;
  }

  answered(): void {
    this.#context.values.get(exchangeKey).answered = true;
  }

  header(name: string): string | undefined {
    return this.#context.requestHeader.get(name) ?? undefined;
  }

  #follow(signal: AbortSignal): void {
    const { reason } = signal;
    const expired = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    this.abort(expired ? deadlineExceeded : cancelledByClient);
  }
}
