import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Clock, StopTimer } from "../../base/index.js";
import type { Answer, BoundMethod } from "../bound-method.js";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal } from "../refusal.js";
import { REQUEST_ID_HEADER, requestIdOf } from "../request-id.js";
import { cancelledByClient, deadlineExceeded, refusalOfThrown } from "../status.js";
import type { ClientCertificate } from "../tls/client-certificate.js";
import { decode, encodeFrame, Undecodable } from "./codec.js";
import type { DeadlineQueue, DueCall } from "./deadline-queue.js";
import type { GrpcHost } from "./grpc-call.js";
import { toStatusHeaders } from "./grpc-status.js";
import {
  certificateOf,
  HEADERS_ONLY,
  OK_TRAILERS,
  peerOf,
  RESPONSE_HEADERS,
  readTimeout,
  WITH_TRAILERS,
} from "./raw-stream.js";
import { RequestFrame } from "./request-frame.js";
import { readHeader } from "./request-header.js";
import { type FollowedCall, SingleAnswer } from "./single-answer.js";

/** What every call of one method shares. */
export interface UnaryMethod {
  readonly kind: "unary";
  readonly bound: BoundMethod & { readonly kind: "unary" };
  readonly host: GrpcHost;
  readonly observer: CallObserver;
  readonly deadlines: DeadlineQueue;
}

// The call hangs on its stream, so that the listeners are the same functions for all.
const callKey = Symbol("call");
type CallStream = ServerHttp2Stream & { [callKey]?: UnaryCall };

/** Answers a unary call on the stream that it came by. */
export function answerUnary(method: UnaryMethod, stream: CallStream, headers: IncomingHttpHeaders): void {
  const call = new UnaryCall(method, stream, headers);
  stream[callKey] = call;
  // Whatever goes wrong with a stream closes it, which is what a call looks at.
  stream.on("error", ignore);
  stream.on("data", onData);
  stream.on("end", onEnd);
  call.start();
}

function ignore(): void {}

function onData(this: CallStream, part: Buffer): void {
  this[callKey]?.receive(part);
}

function onEnd(this: CallStream): void {
  this[callKey]?.endRequest();
}

function onWantTrailers(this: ServerHttp2Stream): void {
  // A stream is open when it wants trailers: Node looks, just before it says so.
  this.sendTrailers(OK_TRAILERS);
}

/**
 * A unary call on its HTTP/2 stream.
 *
 *     reading ──request ended──▶ handling ──answer──▶ answered ──taken──▶ over
 *     reading ──refused: malformed, too large, time limit, deadline──▶ answered
 *     handling ──time limit, deadline, client gone──▶ answered
 *     answered ──stalled──▶ stream reset        answered, request not ended──▶ stream ended
 *
 * A handler that answers at once costs no promise, timer, signal or function of its own. Each state is bounded in time, by a
 * timer for the calls that stay in it for more than a moment.
 */
class UnaryCall extends CallScope implements Call, FollowedCall, DueCall {
  readonly #method: UnaryMethod;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  /** While the request is read. */
  #frame: RequestFrame | undefined;
  #isRequestEnded = false;
  #isAnswered = false;
  #isQueued = false;
  #stopTimer: StopTimer | undefined;
  /** The client's, on the clock's time, in milliseconds. */
  #deadlineMs = Number.POSITIVE_INFINITY;

  constructor(method: UnaryMethod, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super();
    this.#method = method;
    this.#stream = stream;
    this.#headers = headers;
    this.#frame = new RequestFrame(method.host.limits.maxMessageBytes);
    method.observer.begin(this);
  }

  header(name: string): string | undefined {
    return readHeader(this.#headers, name);
  }

  get peer(): string {
    return peerOf(this.#stream);
  }

  get certificate(): ClientCertificate | undefined {
    return certificateOf(this.#stream);
  }

  start(): void {
    const timeoutMs = readTimeout(this.#headers);
    if (isRefusal(timeoutMs)) this.#give(timeoutMs);
    else if (timeoutMs !== Number.POSITIVE_INFINITY) this.#deadlineMs = this.#method.deadlines.now() + timeoutMs;
    this.#enqueue();
  }

  /** Bounds what comes next, if that takes more than a moment. */
  #enqueue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#method.deadlines.add(this);
  }

  startTimer(): void {
    this.#isQueued = false;
    if (this.#stream.destroyed) this.#lost();
    else if (!this.#isAnswered) {
      this.#stream.once("close", () => this.#lost());
      this.#limitState();
    }
    // The client is to send no more. It gets its answer all the same: HTTP/2 has this for answers that come early.
    else if (!this.#isRequestEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    else this.#limitSending();
  }

  /** The client has gone before it had asked for anything. */
  #lost(): void {
    if (!this.#isRequestEnded) this.#give(cancelledByClient);
  }

  /** Takes the next part of the request. What comes after an answer is read and dropped, so that the stream can end. */
  receive(part: Buffer): void {
    const refusal = this.#frame?.add(part);
    if (refusal !== undefined) this.#give(refusal);
  }

  /** The client has sent all, or has reset the stream: then nobody waits for an answer. */
  endRequest(): void {
    this.#isRequestEnded = true;
    const message = this.#stream.closed ? cancelledByClient : this.#frame?.end();
    this.#frame = undefined;
    if (message === undefined) return;
    if (isRefusal(message)) this.#give(message);
    else this.#handle(message);
  }

  followClient(clock: Clock): void {
    this.#stream.once("close", () => {
      this.abort(this.#deadlineMs <= clock.now() ? deadlineExceeded : cancelledByClient);
    });
  }

  #handle(message: Buffer): void {
    const { bound, host } = this.#method;
    try {
      const answer = bound.direct?.(message, this) ?? this.#call(message);
      if (!(answer instanceof Promise)) this.#give(answer);
      else this.#follow(answer);
    } catch (thrown) {
      this.#give(refusalOfThrown(thrown, bound.name, host.log, this));
    }
  }

  #follow(answer: Promise<Answer>): void {
    const { bound, host } = this.#method;
    const single = new SingleAnswer(this, (given) => this.#give(given), bound.name, host);
    single.follow(answer, host.limits.unaryTimeoutMs);
    // The limit of reading is over, that of handling has begun; the client's deadline is the same.
    if (this.#stopTimer !== undefined) this.#limitState();
  }

  #call(bytes: Buffer): Answer | Promise<Answer> {
    const { bound } = this.#method;
    // A copy, because a message's binary fields are views of its bytes: what is kept of it must not keep what else came in.
    const request = decode(bound.method.input, new Uint8Array(bytes));
    return request instanceof Undecodable ? request.refusal : bound.handle(request, this);
  }

  #give(answer: Answer): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#frame = undefined;
    this.#stopTimer?.();
    this.finish();
    this.#enqueue();
    const { bound, host, observer } = this.#method;
    const outcome = isRefusal(answer) ? answer : encodeFrame(bound, answer, host.log, this);
    const stream = this.#stream;
    observer.end(this, isRefusal(outcome) ? outcome : undefined);
    if (stream.destroyed || stream.closed) return;
    if (isRefusal(outcome)) {
      const headers = { ...RESPONSE_HEADERS, ...toStatusHeaders(outcome), [REQUEST_ID_HEADER]: requestIdOf(this) };
      stream.respond(headers, HEADERS_ONLY);
      return;
    }
    stream.on("wantTrailers", onWantTrailers);
    stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
    stream.end(outcome);
  }

  /** Starts the timer of reading the request, or of the client's deadline alone while the call is handled. */
  #limitState(): void {
    const { clock, limits } = this.#method.host;
    const leftMs = Math.max(0, this.#deadlineMs - clock.now());
    const delayMs = this.#isRequestEnded ? leftMs : Math.min(leftMs, limits.unaryTimeoutMs);
    this.#startTimer(delayMs, () => {
      this.abort(deadlineExceeded);
      this.#give(deadlineExceeded);
    });
  }

  /** Resets the stream of a client that does not take its answer. */
  #limitSending(): void {
    const { bound, host } = this.#method;
    const { peer } = this;
    this.#startTimer(host.limits.stallTimeoutMs, () => {
      host.reportStalled({ peer, requestId: requestIdOf(this) }, bound.name);
      this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
  }

  /** In the place of the timer before. */
  #startTimer(delayMs: number, action: () => void): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (delayMs === Number.POSITIVE_INFINITY) return;
    const stop = this.#method.host.clock.after(delayMs, action);
    this.#stopTimer = stop;
    this.#stream.once("close", stop);
  }
}
