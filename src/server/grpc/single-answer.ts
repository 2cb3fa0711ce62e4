import type { Clock, StopTimer } from "../../base/index.js";
import type { Answer } from "../bound-method.js";
import type { CallScope } from "../call-scope.js";
import type { NamedCall } from "../request-id.js";
import { deadlineExceeded, refusalOfThrown } from "../status.js";
import type { GrpcHost } from "./grpc-call.js";

/** A call that can be told when its client goes away. */
export interface FollowedCall extends CallScope, NamedCall {
  requestId: string | undefined;
  trace: CallScope["trace"];
  /** From now on, aborts with the client, or at its deadline. */
  followClient(clock: Clock): void;
}

/**
 * The one answer of a call: whichever comes first of the handler's, the time limit and the client's leaving. A handler that
 * answers at once costs no promise, timer or signal.
 */
export class SingleAnswer {
  #given = false;
  #stopTimer: StopTimer | undefined;

  constructor(
    readonly call: FollowedCall,
    /** Sends the answer. Called once. */
    readonly send: (answer: Answer) => void,
    /** The method's name. */
    readonly method: string,
    readonly host: GrpcHost,
  ) {}

  /** Gives what the handler answers. */
  take(open: () => Answer | Promise<Answer>, timeoutMs?: number): void {
    try {
      const answer = open();
      if (answer instanceof Promise) this.follow(answer, timeoutMs);
      else this.give(answer);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  give(answer: Answer): void {
    if (this.#given) return;
    this.#given = true;
    this.#stopTimer?.();
    this.call.finish();
    this.send(answer);
  }

  /** Gives what a handler answers later. */
  follow(answer: Promise<Answer>, timeoutMs?: number): void {
    const { clock } = this.host;
    this.call.onAbort((reason) => this.give(reason));
    this.call.followClient(clock);
    if (timeoutMs !== undefined) this.#stopTimer = clock.after(timeoutMs, () => this.call.abort(deadlineExceeded));
    answer.then(
      (value) => this.give(value),
      (thrown) => this.#fail(thrown),
    );
  }

  #fail(thrown: unknown): void {
    // What a handler throws because its call was aborted is of no interest.
    if (!this.#given) this.give(refusalOfThrown(thrown, this.method, this.host.log, this.call));
  }
}
