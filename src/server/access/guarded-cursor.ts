import { invariant } from "../../base/index.js";
import type { AnswerCursor, Call, CursorHandler } from "../handlers.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Gate } from "./gate.js";
import type { Identity } from "./identity.js";

export const noLongerAdmitted = new Refusal(
  "UNAUTHENTICATED",
  "TOKEN_UNKNOWN",
  "the token or certificate that the stream was opened with has expired or was revoked, or it came with none before there were tokens",
);

/** A stream that ends when its caller would not be let in any more: at once when a token is revoked, and looked at before every message. */
export class GuardedCursor<O> implements AnswerCursor<O> {
  readonly #gate: Gate;
  readonly #identity: Identity;
  readonly #cursor: AnswerCursor<O>;
  readonly #onNews: () => void;
  readonly #leave: () => void;
  readonly #unsubscribe: () => void;
  #isAsked = false;
  #isDenied = false;

  static open<I, O>(
    gate: Gate,
    call: Call,
    open: CursorHandler<I, O>,
    request: I,
    onNews: () => void,
  ): OrRefusal<AnswerCursor<O>> {
    const { identity } = call;
    invariant(identity !== undefined, "a stream was opened by nobody");
    const leave = gate.openStream(identity);
    if (isRefusal(leave)) return leave;
    let guarded: GuardedCursor<O> | undefined;
    try {
      const cursor = open(request, call, () => guarded?.wake());
      if (isRefusal(cursor)) return cursor;
      guarded = new GuardedCursor(gate, identity, cursor, onNews, leave);
      return guarded;
    } finally {
      if (guarded === undefined) leave();
    }
  }

  private constructor(gate: Gate, identity: Identity, cursor: AnswerCursor<O>, onNews: () => void, leave: () => void) {
    this.#leave = leave;
    this.#gate = gate;
    this.#identity = identity;
    this.#cursor = cursor;
    this.#onNews = onNews;
    this.#unsubscribe = gate.onChange(() => {
      if (!gate.admits(identity)) this.wake();
    });
  }

  get ended(): boolean {
    return this.#isDenied || this.#cursor.ended;
  }

  next(): ReturnType<AnswerCursor<O>["next"]> {
    if (this.#isDenied) return undefined;
    if (!this.#gate.admits(this.#identity)) {
      this.close();
      this.#isDenied = true;
      return noLongerAdmitted;
    }
    const answer = this.#cursor.next();
    this.#isAsked = answer === undefined;
    return answer;
  }

  close(): void {
    this.#leave();
    this.#unsubscribe();
    this.#cursor.close();
  }

  /** Tells once, to who has asked in vain. */
  wake(): void {
    if (!this.#isAsked) return;
    this.#isAsked = false;
    this.#onNews();
  }
}
