import type { Identity } from "./access/identity.js";
import type { Refusal } from "./refusal.js";
import type { CallTrace } from "./tracing/call-trace.js";

/**
 * The life of one call: it is finished by its answer or aborted, whichever comes first. The signal is made only where
 * a handler asks for it, because most calls are answered at once.
 */
export class CallScope {
  /** See Call. */
  identity: Identity | undefined;
  /** Undefined until somebody asks; see requestIdOf. */
  requestId: string | undefined;
  /** See ObservedCall. */
  startedMs = Number.NaN;
  /** See Call. */
  trace: CallTrace | undefined;
  #controller: AbortController | undefined;
  #reason: Refusal | undefined;
  #over = false;
  #onAbort: ((reason: Refusal) => void) | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Calls `action`, after those added before, if the call is aborted: now, if it was already. */
  onAbort(action: (reason: Refusal) => void): void {
    if (this.#reason !== undefined) {
      action(this.#reason);
      return;
    }
    const before = this.#onAbort;
    this.#onAbort = (reason) => {
      before?.(reason);
      action(reason);
    };
  }

  /** Ends the call without its answer. Does nothing once it is over. */
  abort(reason: Refusal): void {
    if (this.#over) return;
    this.#over = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#onAbort?.(reason);
  }

  /** The answer is given: nothing can be aborted any more. */
  finish(): void {
    this.#over = true;
  }
}
