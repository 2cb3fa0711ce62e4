import type { Socket } from "node:net";
import type { Port } from "./port.js";

/** What one end of a link says: see `messages.ts`. */
export interface Speech {
  /** Said, and no answer expected. */
  readonly notice: { readonly kind: string };
  /** Asked; `answers` has the answer to each kind. */
  readonly question: { readonly kind: string };
  readonly answers: object;
}

export type AnswerTo<Side extends Speech, Kind extends string> = Kind extends keyof Side["answers"]
  ? Side["answers"][Kind]
  : never;

/** What an end does with what the other end says. */
export interface LinkHost<Theirs extends Speech> {
  notice(notice: Theirs["notice"], socket: Socket | undefined): void;
  answer(question: Theirs["question"]): Promise<AnswerTo<Theirs, Theirs["question"]["kind"]>>;
  /** The other end is gone. Called once; nothing follows. */
  closed(): void;
}

/** The other end is gone, or has failed to answer. */
export class LinkBroken extends Error {
  override readonly name = "LinkBroken";

  constructor(
    message: string,
    /** Whether the question may have been heard. */
    readonly isUncertain: boolean,
  ) {
    super(message);
  }
}

type Envelope =
  | { readonly kind: "notice"; readonly notice: unknown }
  | { readonly kind: "question"; readonly id: number; readonly question: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One end of a conversation between two processes: notices, and questions with their answers, in the order they are sent. */
export class Link<Ours extends Speech, Theirs extends Speech> {
  readonly #port: Port;
  readonly #host: LinkHost<Theirs>;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #isClosed = false;

  constructor(port: Port, host: LinkHost<Theirs>) {
    this.#port = port;
    this.#host = host;
    port.onMessage((message, socket) => this.#receive(message as Envelope, socket));
    port.onClosed(() => this.#close());
  }

  /** Says something. `sent`: see Port.post. */
  notify(notice: Ours["notice"], socket?: Socket, sent?: (error: Error | null) => void): void {
    if (this.#isClosed) sent?.(new LinkBroken("the other process is gone", false));
    else this.#post({ kind: "notice", notice }, socket, sent);
  }

  /** Rejects with LinkBroken if the other end goes away first, or fails. */
  ask<Question extends Ours["question"]>(question: Question): Promise<AnswerTo<Ours, Question["kind"]>> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new LinkBroken("the other process is gone", false));
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve: (answer) => resolve(answer as AnswerTo<Ours, Question["kind"]>), reject });
      this.#post({ kind: "question", id, question });
    });
  }

  #post(envelope: Envelope, socket?: Socket, sent?: (error: Error | null) => void): void {
    // An error closes the line, which is told by itself.
    this.#port.post(envelope, socket, sent ?? (() => undefined));
  }

  #receive(envelope: Envelope, socket: Socket | undefined): void {
    switch (envelope.kind) {
      case "notice":
        this.#host.notice(envelope.notice as Theirs["notice"], socket);
        break;
      case "question":
        void this.#answer(envelope.id, envelope.question as Theirs["question"]);
        break;
      case "answer":
        this.#take(envelope.id)?.resolve(envelope.answer);
        break;
      case "failed":
        this.#take(envelope.id)?.reject(new LinkBroken(envelope.message, true));
        break;
    }
  }

  async #answer(id: number, question: Theirs["question"]): Promise<void> {
    try {
      this.#post({ kind: "answer", id, answer: await this.#host.answer(question) });
    } catch (error) {
      this.#post({ kind: "failed", id, message: error instanceof Error ? error.message : String(error) });
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { reject } of this.#pending.values()) reject(new LinkBroken("the other process is gone", true));
    this.#pending.clear();
    this.#host.closed();
  }
}
