import { UpdateKind, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import type { CallSpan } from "./call-span.js";
import { MirrorError } from "./mirror-error.js";
import { toTransportError } from "./to-transport-error.js";
import type { TransportError } from "./transport.js";

const GIVEN_UP = { code: "CANCELLED", reason: undefined } as const;

/**
 * Follows the opening of a stream, or a poll: its span ends when the first update has been applied, and not with a stream that lasts for
 * hours.
 */
export class WatchSpan {
  readonly #span: CallSpan;
  readonly #signal: AbortSignal;
  #kind: UpdateKind | undefined;
  #revision: bigint | undefined;

  /** `signal` ends the stream, with a MirrorError as its reason where what came by it was no good. */
  constructor(span: CallSpan, signal: AbortSignal) {
    this.#span = span;
    this.#signal = signal;
  }

  /** Passes on what comes. Whoever asks for the next message has applied the last one. */
  async *follow(messages: AsyncIterable<WatchResponse>): AsyncGenerator<WatchResponse, void, undefined> {
    try {
      for await (const message of messages) {
        if (!this.#span.isOver) this.#receive(message);
        yield message;
        if (this.#revision !== undefined) this.#end();
      }
    } catch (error) {
      this.#end(toTransportError(error));
      throw error;
    } finally {
      this.#end();
    }
  }

  #receive({ begin, commit }: WatchResponse): void {
    this.#kind ??= begin?.kind;
    this.#revision ??= commit?.position?.revision;
  }

  #end(error?: TransportError): void {
    if (this.#span.isOver) return;
    const { reason } = this.#signal;
    // Whatever came of giving it up, that is why.
    if (reason instanceof MirrorError) this.#span.fail(GIVEN_UP, reason.kind);
    else if (error !== undefined) this.#span.fail(error);
    else if (this.#revision === undefined) this.#span.end();
    else {
      const kind = UpdateKind[this.#kind ?? UpdateKind.UNSPECIFIED];
      this.#span.end({
        "feature_flag.version": String(this.#revision),
        ...(kind !== undefined && { "flagwire.update.kind": kind.toLowerCase() }),
      });
    }
  }
}
