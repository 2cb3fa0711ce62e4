import type { Message } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import type { StopTimer } from "../../base/index.js";
import type { BidiFunction, BoundMethod, ServerStreamFunction } from "../bound-method.js";
import type { AnswerStream, Encoded } from "../handlers.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal, type OrRefusal, type Refusal } from "../refusal.js";
import { requestIdOf } from "../request-id.js";
import { cancelledByClient, refusalOfThrown } from "../status.js";
import { type Decoded, encodeAnswer, Undecodable } from "./codec.js";
import { GrpcCall, type GrpcHost } from "./grpc-call.js";
import { toGrpcStatus } from "./grpc-status.js";
import { RequestStream } from "./request-stream.js";

type WritableCall = ServerWritableStream<Decoded, Buffer>;
type DuplexCall = ServerDuplexStream<Decoded, Buffer>;
type Item = OrRefusal<Message | Encoded<Message>>;

/** grpc-js's handler of a server-streaming method. */
export function serverStreamHandler(bound: BoundMethod, handle: ServerStreamFunction, host: GrpcHost) {
  const observer = host.observers.of(bound.method, "grpc");
  return (surface: WritableCall): void => {
    const { request } = surface;
    const call = new GrpcCall(surface);
    observer.begin(call);
    if (request instanceof Undecodable) endWith(surface, request.refusal, call, observer);
    else pumpAnswers(() => handle(request, call), surface, call, bound, host, observer);
  };
}

/** grpc-js's handler of a bidirectional method. */
export function bidiHandler(bound: BoundMethod, handle: BidiFunction, host: GrpcHost) {
  const observer = host.observers.of(bound.method, "grpc");
  return (surface: DuplexCall): void => {
    const call = new GrpcCall(surface);
    observer.begin(call);
    const requests = new RequestStream(surface, call, host);
    pumpAnswers(() => handle(requests, call), surface, call, bound, host, observer);
  };
}

function pumpAnswers(
  open: () => AnswerStream<Message>,
  surface: WritableCall | DuplexCall,
  call: GrpcCall,
  bound: BoundMethod,
  host: GrpcHost,
  observer: CallObserver,
): void {
  try {
    new AnswerPump(open()[Symbol.asyncIterator](), surface, call, bound, host, observer).start();
  } catch (thrown) {
    call.finish();
    endWith(surface, refusalOfThrown(thrown, bound.name, host.log, call), call, observer);
  }
}

/** Ends a stream with a status, after what was written before. grpc-js takes both from an `error` event. */
function endWith(surface: WritableCall | DuplexCall, refusal: Refusal, call: GrpcCall, observer: CallObserver): void {
  observer.end(call, refusal);
  surface.emit("error", toGrpcStatus(refusal, call));
}

/**
 * Moves a handler's answers to the client, one at a time: the next one is asked for when HTTP/2 has taken the last.
 *
 *     pulling ──answer──▶ writing ──taken──▶ pulling        pulling ──end, refusal, throw──▶ ended
 *     pulling, writing ──client gone, deadline──▶ ended     writing ──stalled──▶ connection destroyed, so: client gone
 *
 * However it ends, the handler's generator is returned, so that its `finally` runs. Callbacks and not `for await`
 * with `Promise.race`, because a promise that lives as long as the stream would collect a reaction per message.
 */
class AnswerPump {
  #ended = false;
  #stopTimer: StopTimer | undefined;
  readonly #peer: string;

  constructor(
    readonly answers: AsyncIterator<Item>,
    readonly surface: WritableCall | DuplexCall,
    readonly call: GrpcCall,
    readonly bound: BoundMethod,
    readonly host: GrpcHost,
    readonly observer: CallObserver,
  ) {
    // Asked for now: a session that was destroyed has no peer.
    this.#peer = call.peer;
  }

  start(): void {
    this.call.onAbort((reason) => {
      this.observer.end(this.call, reason);
      this.#end();
    });
    this.call.followClient(this.host.clock);
    this.#pull();
  }

  readonly #pull = (): void => {
    this.#stopTimer?.();
    if (!this.#ended) this.answers.next().then(this.#onResult, this.#onThrown);
  };

  readonly #onResult = (result: IteratorResult<Item, unknown>): void => {
    if (this.#ended) return;
    if (result.done === true) {
      this.observer.end(this.call, undefined);
      this.#end();
      this.surface.end();
      return;
    }
    const { value } = result;
    const outcome = isRefusal(value) ? value : encodeAnswer(this.bound, value, this.host.log, this.call);
    if (isRefusal(outcome)) this.#refuse(outcome);
    else this.#write(outcome);
  };

  readonly #onThrown = (thrown: unknown): void => {
    if (!this.#ended) this.#refuse(refusalOfThrown(thrown, this.bound.name, this.host.log, this.call));
  };

  #refuse(refusal: Refusal): void {
    this.#end();
    endWith(this.surface, refusal, this.call, this.observer);
  }

  readonly #onTaken = (error?: Error | null): void => {
    if (error) {
      this.observer.end(this.call, cancelledByClient);
      this.#end();
    } else this.#pull();
  };

  #write(bytes: Buffer): void {
    const { clock, limits, cutOff } = this.host;
    this.#stopTimer = clock.after(limits.stallTimeoutMs, () => {
      const { clientName } = this.call;
      cutOff({ peer: this.#peer, clientName, requestId: requestIdOf(this.call) }, this.bound.name);
      // Where the client left before grpc-js had read its request, the connection is gone already, and nothing says so again.
      this.observer.end(this.call, cancelledByClient);
      this.#end();
    });
    this.surface.write(bytes, this.#onTaken);
    this.observer.opened(this.call);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopTimer?.();
    this.call.finish();
    this.answers.return?.().then(undefined, (thrown: unknown) => {
      const requestId = requestIdOf(this.call);
      this.host.log.warn(
        { err: thrown, method: this.bound.name, requestId },
        "handler failed while it was cleaning up",
      );
    });
  }
}
