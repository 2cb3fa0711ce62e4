import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import type { StopTimer } from "../../base/index.js";
import type { BoundMethod } from "../bound-method.js";
import { CallScope } from "../call-scope.js";
import type { AnswerCursor, Call, CursorHandler } from "../handlers.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal, type Refusal } from "../refusal.js";
import { givenRequestId, REQUEST_ID_HEADER, requestIdOf } from "../request-id.js";
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
import type { StreamSweep, WritingStream } from "./stream-sweep.js";

/** What every call of one method shares. */
export interface CursorMethod {
  readonly kind: "cursor";
  readonly bound: BoundMethod;
  readonly open: CursorHandler<Message, Message>;
  readonly host: GrpcHost;
  readonly observer: CallObserver;
  readonly deadlines: DeadlineQueue;
  readonly sweep: StreamSweep;
}

// The call hangs on its stream, so that the listeners are the same functions for all.
const callKey = Symbol("call");
type CallStream = ServerHttp2Stream & { [callKey]?: CursorCall };

/** Answers a server-streaming call, whose handler gives a cursor, on the stream that it came by. */
export function answerCursor(method: CursorMethod, stream: CallStream, headers: IncomingHttpHeaders): void {
  const call = new CursorCall(method, stream, headers);
  stream[callKey] = call;
  // Whatever goes wrong with a stream closes it.
  stream.on("error", ignore);
  stream.on("data", onData);
  stream.on("end", onEnd);
  stream.on("close", onClose);
  call.start();
}

const NO_HEADERS: IncomingHttpHeaders = {};

/**
 * What opens a stream is small. Nothing bounds how many requests are on their way at a time, so what each may hold is bounded more
 * tightly than a unary call's.
 */
const MAX_REQUEST_BYTES = 65_536;

function ignore(): void {}

function onData(this: CallStream, part: Buffer): void {
  this[callKey]?.receive(part);
}

function onEnd(this: CallStream): void {
  this[callKey]?.endRequest();
}

function onClose(this: CallStream): void {
  this[callKey]?.clientGone();
}

function onWantTrailers(this: CallStream): void {
  this.sendTrailers(this[callKey]?.trailers ?? OK_TRAILERS);
}

/**
 * A server-streaming call on its HTTP/2 stream.
 *
 *     reading ──request ended──▶ asking ──answer──▶ writing ──taken──▶ asking
 *                                asking ──nothing──▶ waiting ──news──▶ asking ──ended, refusal──▶ ended
 *     reading, writing, waiting ──deadline, refused──▶ ended
 *     writing, ended ──stalled──▶ connection destroyed, so: closed        any ──client gone──▶ closed
 *
 * One message is on its way at a time: the next is asked for when HTTP/2 has taken the last. One that waits holds no timer,
 * unless its client set a deadline, and no promise. The cursor is closed when the call has ended, or its stream is closed.
 */
class CursorCall extends CallScope implements Call, DueCall, WritingStream {
  readonly #method: CursorMethod;
  readonly #stream: ServerHttp2Stream;
  /** Until the cursor is opened; then only the token, because a stream lasts, and headers may have 64 KiB. */
  #headers: IncomingHttpHeaders;
  /** While the request is read. */
  #frame: RequestFrame | undefined;
  #cursor: AnswerCursor<Message> | undefined;
  #isRequestEnded = false;
  #isEnded = false;
  #stopDeadline: StopTimer | undefined;
  #stopReading: StopTimer | undefined;
  /** The client's, on the clock's time, in milliseconds. */
  #deadlineMs = Number.POSITIVE_INFINITY;
  writingSinceMs: number | undefined;
  clientName: string | undefined;
  /** What the stream ends with. */
  trailers: OutgoingHttpHeaders = OK_TRAILERS;

  constructor(method: CursorMethod, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super();
    this.#method = method;
    this.#stream = stream;
    this.#headers = headers;
    this.#frame = new RequestFrame(Math.min(method.host.limits.maxMessageBytes, MAX_REQUEST_BYTES));
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
    const { deadlines, host } = this.#method;
    const timeoutMs = readTimeout(this.#headers);
    if (isRefusal(timeoutMs)) this.#end(timeoutMs);
    else if (timeoutMs !== Number.POSITIVE_INFINITY) {
      this.#deadlineMs = host.clock.now() + timeoutMs;
      this.#stopDeadline = host.clock.after(timeoutMs, () => this.#expire());
    }
    deadlines.add(this);
  }

  /** Bounds how long the request may take to come, or ends one that was refused before it had. */
  startTimer(): void {
    const { host } = this.#method;
    if (this.#isRequestEnded || this.#stream.destroyed) return;
    if (this.#isEnded) this.#stopRequest();
    else this.#stopReading = host.clock.after(host.limits.unaryTimeoutMs, () => this.#expire());
  }

  /** Takes the next part of the request. What comes after a refusal is read and dropped, so that the stream can end. */
  receive(part: Buffer): void {
    const refusal = this.#frame?.add(part);
    if (refusal !== undefined) this.#end(refusal);
  }

  /** The client has sent all, or has reset the stream: then nobody waits for an answer. */
  endRequest(): void {
    this.#isRequestEnded = true;
    const message = this.#stream.closed ? undefined : this.#frame?.end();
    this.#frame = undefined;
    if (message === undefined) return;
    this.#stopReading?.();
    this.#stopReading = undefined;
    if (isRefusal(message)) this.#end(message);
    else this.#open(message);
  }

  /** The stream is closed, for whatever reason. */
  clientGone(): void {
    const { host, sweep } = this.#method;
    sweep.delete(this);
    this.#letGo();
    this.#isEnded = true;
    const reason = this.#deadlineMs <= host.clock.now() ? deadlineExceeded : cancelledByClient;
    this.#method.observer.end(this, reason);
    this.abort(reason);
  }

  stalled(): void {
    const { bound, host } = this.#method;
    requestIdOf(this);
    host.cutOff(this, bound.name);
  }

  #open(message: Buffer): void {
    const { bound, host, open, sweep } = this.#method;
    try {
      // A copy, because a message's binary fields are views of its bytes: what is kept of it must not keep what else came in.
      const request = decode(bound.method.input, new Uint8Array(message));
      const cursor = request instanceof Undecodable ? request.refusal : open(request, this, this.#advance);
      if (isRefusal(cursor)) {
        this.#end(cursor);
        return;
      }
      this.#cursor = cursor;
      this.requestId ??= givenRequestId(this);
      const { authorization } = this.#headers;
      this.#headers = authorization === undefined ? NO_HEADERS : { authorization };
    } catch (thrown) {
      this.#end(refusalOfThrown(thrown, bound.name, host.log, this));
      return;
    }
    sweep.add(this);
    this.#advance();
  }

  /** Sends what there is to send. */
  readonly #advance = (): void => {
    const { bound, host, observer, sweep } = this.#method;
    if (this.#isEnded || this.#cursor === undefined) return;
    const answer = this.#ask(this.#cursor);
    if (answer === undefined) {
      if (this.#cursor.ended) this.#end(undefined);
      return;
    }
    const frame = isRefusal(answer) ? answer : encodeFrame(bound, answer, host.log, this);
    if (isRefusal(frame)) {
      this.#end(frame);
      return;
    }
    this.writingSinceMs = sweep.nowMs();
    this.#respond();
    this.#stream.write(frame, this.#onTaken);
    observer.opened(this);
  };

  #ask(cursor: AnswerCursor<Message>): ReturnType<AnswerCursor<Message>["next"]> {
    try {
      return cursor.next();
    } catch (thrown) {
      return refusalOfThrown(thrown, this.#method.bound.name, this.#method.host.log, this);
    }
  }

  readonly #onTaken = (error?: Error | null): void => {
    if (this.#isEnded) return;
    this.writingSinceMs = undefined;
    // What goes wrong with a stream closes it, and that ends the call.
    if (!error) this.#advance();
  };

  #respond(): void {
    if (this.#stream.headersSent) return;
    this.#stream.on("wantTrailers", onWantTrailers);
    this.#stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
  }

  #expire(): void {
    this.abort(deadlineExceeded);
    this.#end(deadlineExceeded);
  }

  /** Ends the call with a status after what was written before: that of a refusal, or OK. */
  #end(refusal: Refusal | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#method.observer.end(this, refusal);
    this.#letGo();
    this.finish();
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const { sweep } = this.#method;
    // The client is to take the end too.
    this.writingSinceMs ??= sweep.nowMs();
    sweep.add(this);
    const status =
      refusal === undefined ? OK_TRAILERS : { ...toStatusHeaders(refusal), [REQUEST_ID_HEADER]: requestIdOf(this) };
    if (refusal !== undefined && !stream.headersSent) {
      stream.respond({ ...RESPONSE_HEADERS, ...status }, HEADERS_ONLY);
    } else {
      this.trailers = status;
      this.#respond();
      stream.end();
    }
    // When two turns have passed, for those who are still sending.
    if (!this.#isRequestEnded) this.#method.deadlines.add(this);
  }

  /** The client is to send no more. It gets its status all the same: HTTP/2 has this for answers that come early. */
  #stopRequest(): void {
    this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #letGo(): void {
    this.#stopDeadline?.();
    this.#stopDeadline = undefined;
    this.#stopReading?.();
    this.#stopReading = undefined;
    this.#frame = undefined;
    this.#cursor?.close();
    this.#cursor = undefined;
  }
}
