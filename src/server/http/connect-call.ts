import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import { cancelledByClient, deadlineExceeded } from "../status.js";

/** The client's address. Connect itself does not know it. */
export const peerKey = createContextKey("unknown", { description: "the client's address" });

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
    return this.#context.values.get(peerKey);
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
