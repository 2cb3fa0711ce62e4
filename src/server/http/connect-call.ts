import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import { requestIdOf } from "../request-id.js";
import { cancelledByClient, deadlineExceeded } from "../status.js";
import type { ClientCertificate } from "../tls/client-certificate.js";

/** One HTTP request and its answer, as far as Connect cannot tell. */
export interface Exchange {
  /** The client's address. */
  readonly peer: string;
  /** See Call. */
  readonly certificate?: ClientCertificate | undefined;
  /** Whether the handler gave an answer: an error after that is one of encoding it. */
  answered: boolean;
  /** See Call. */
  clientName?: string | undefined;
  /** Of the call, once somebody has asked for it. */
  requestId?: string | undefined;
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

  get certificate(): ClientCertificate | undefined {
    return this.#context.values.get(exchangeKey).certificate;
  }

  get clientName(): string | undefined {
    return this.#context.values.get(exchangeKey).clientName;
  }

  set clientName(name: string | undefined) {
    this.#context.values.get(exchangeKey).clientName = name;
  }

  /** Its id, which from now on everything that is logged of the exchange has too. */
  name(): string {
    const exchange = this.#context.values.get(exchangeKey);
    this.requestId = exchange.requestId ??= requestIdOf(this);
    return this.requestId;
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
