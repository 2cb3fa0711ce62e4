import type { DescMethod, DescService, Message, MessageShape } from "@bufbuild/protobuf";
import type { Identity } from "./access/identity.js";
import type { OrRefusal } from "./refusal.js";
import type { ClientCertificate } from "./tls/client-certificate.js";
import type { CallTrace } from "./tracing/call-trace.js";

/** What a handler may know of its call, whatever the transport. */
export interface Call {
  /** Aborts when the client has gone, the deadline has passed or the server is shutting down for good. */
  readonly signal: AbortSignal;
  /** A request header, by its lower-case name. */
  header(name: string): string | undefined;
  /** The client's address. */
  readonly peer: string;
  /** What the client has shown over TLS; undefined for nothing, or where it was not asked. */
  readonly certificate?: ClientCertificate | undefined;
  /** What the client calls itself, for the log. Set by a handler that learns of it, to a text of bounded length. */
  clientName?: string | undefined;
  /** Who calls. Set before any handler is called. */
  identity?: Identity | undefined;
  /** Where the call is traced: what is recorded of it. Undefined too once a stream is open. */
  readonly trace?: CallTrace | undefined;
}

/**
 * A message with its binary form, so that one encoding serves any number of streams. Either may be made when it is first
 * asked for: a transport reads only the one that it sends.
 */
export interface Encoded<T> {
  readonly message: T;
  readonly bytes: Uint8Array;
  /** `bytes` in a frame (see base/message-frame.ts), where they are kept so. Whoever sends it does not change it. */
  readonly frame?: Buffer;
}

export function isEncoded<T extends Message>(answer: T | Encoded<T>): answer is Encoded<T> {
  return !("$typeName" in answer);
}

/** The one answer of a call. */
export type Answered<T> = OrRefusal<T | Encoded<T>>;

/** Messages of a stream. A refusal ends it with that status; nothing may follow. */
export type AnswerStream<T> = AsyncIterable<OrRefusal<T | Encoded<T>>>;

/**
 * Answers a unary call from the bytes of its request, where making a message of them would cost more than the answer.
 * Undefined where it does not take these bytes, which says nothing about them: the handler itself is called then.
 */
export type DirectHandler<T> = (bytes: Uint8Array, call: Call) => Answered<T> | undefined;

/** The implementation of a unary method. */
export interface UnaryHandler<I, O> {
  (request: I, call: Call): Answered<O> | Promise<Answered<O>>;
  /** A transport that has the bytes asks this first. */
  readonly direct?: DirectHandler<O>;
}

/**
 * Messages of a stream for a transport that asks for each when the client has taken the one before. Unlike an iterator it
 * costs nothing while nothing is sent.
 */
export interface AnswerCursor<T> {
  /**
   * What to send now. A refusal ends the stream with that status. Undefined where there is nothing: then `onNews` is called
   * once, when there may be, or, where the stream has `ended`, never. What it throws is logged, and ends the stream INTERNAL.
   */
  next(): OrRefusal<T | Encoded<T>> | undefined;
  /** Nothing will come any more: the stream ends with OK. */
  readonly ended: boolean;
  /** Lets go of everything. Called however the stream ends. */
  close(): void;
}

/**
 * Opens a stream as a cursor. `onNews` is not called before this has returned, and does not throw. From then on the call has no
 * header but `authorization`: a stream lasts, and its headers are the client's to fill.
 */
export type CursorHandler<I, O> = (request: I, call: Call, onNews: () => void) => OrRefusal<AnswerCursor<O>>;

/** The implementation of a server-streaming method. */
export interface ServerStreamHandler<I, O> {
  (request: I, call: Call): AnswerStream<O>;
  /** The same stream, for a transport that has many of them. */
  readonly open?: CursorHandler<I, O>;
}

/** The implementation of one method, by its kind. Handlers may be asynchronous, and do not throw for bad input. */
export type Handler<M extends DescMethod> = M extends { methodKind: "unary" }
  ? UnaryHandler<MessageShape<M["input"]>, MessageShape<M["output"]>>
  : M extends { methodKind: "server_streaming" }
    ? ServerStreamHandler<MessageShape<M["input"]>, MessageShape<M["output"]>>
    : M extends { methodKind: "client_streaming" }
      ? (requests: AsyncIterable<MessageShape<M["input"]>>, call: Call) => Promise<Answered<MessageShape<M["output"]>>>
      : (requests: AsyncIterable<MessageShape<M["input"]>>, call: Call) => AnswerStream<MessageShape<M["output"]>>;

/** The implementation of every method of a service. */
export type ServiceHandlers<S extends DescService> = { readonly [K in keyof S["method"]]: Handler<S["method"][K]> };

/** A service with its implementation, for a transport to serve. */
export interface ServedService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, Handler<DescMethod>>>;
  /**
   * How it speaks JSON. `lenient` is for protocols that are not ours, whose clients expect it: fields that are not known are
   * ignored, and those that hold nothing are written too. Default: strict, which refuses the former and omits the latter.
   */
  readonly json?: "strict" | "lenient";
}

/** Pairs a service with its handlers, checked against its descriptor. */
export function serveService<S extends DescService>(service: S, handlers: ServiceHandlers<S>): ServedService {
  return { service, handlers: handlers as unknown as ServedService["handlers"] };
}
