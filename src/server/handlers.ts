import type { DescMethod, DescService, Message, MessageShape } from "@bufbuild/protobuf";
import type { OrRefusal } from "./refusal.js";

/** What a handler may know of its call, whatever the transport. */
export interface Call {
  /** Aborts when the client has gone, the deadline has passed or the server is shutting down for good. */
  readonly signal: AbortSignal;
  /** A request header, by its lower-case name. */
  header(name: string): string | undefined;
  /** The client's address. */
  readonly peer: string;
}

/**
 * A message with its binary form, so that one encoding serves any number of streams. Either may be made when it is first
 * asked for: a transport reads only the one that it sends.
 */
export interface Encoded<T> {
  readonly message: T;
  readonly bytes: Uint8Array;
}

export function isEncoded<T extends Message>(answer: T | Encoded<T>): answer is Encoded<T> {
  return !("$typeName" in answer);
}

/** Messages of a stream. A refusal ends it with that status; nothing may follow. */
export type AnswerStream<T> = AsyncIterable<OrRefusal<T | Encoded<T>>>;

/** The implementation of one method, by its kind. Handlers may be asynchronous, and do not throw for bad input. */
export type Handler<M extends DescMethod> = M extends { methodKind: "unary" }
  ? (
      request: MessageShape<M["input"]>,
      call: Call,
    ) => OrRefusal<MessageShape<M["output"]>> | Promise<OrRefusal<MessageShape<M["output"]>>>
  : M extends { methodKind: "server_streaming" }
    ? (request: MessageShape<M["input"]>, call: Call) => AnswerStream<MessageShape<M["output"]>>
    : M extends { methodKind: "client_streaming" }
      ? (requests: AsyncIterable<MessageShape<M["input"]>>, call: Call) => Promise<OrRefusal<MessageShape<M["output"]>>>
      : (requests: AsyncIterable<MessageShape<M["input"]>>, call: Call) => AnswerStream<MessageShape<M["output"]>>;

/** The implementation of every method of a service. */
export type ServiceHandlers<S extends DescService> = { readonly [K in keyof S["method"]]: Handler<S["method"][K]> };

/** A service with its implementation, for a transport to serve. */
export interface ServedService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, Handler<DescMethod>>>;
}

/** Pairs a service with its handlers, checked against its descriptor. */
export function serveService<S extends DescService>(service: S, handlers: ServiceHandlers<S>): ServedService {
  return { service, handlers: handlers as unknown as ServedService["handlers"] };
}
