import type { Message } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Answer, BoundMethod } from "../bound-method.js";
import { type AnswerStream, isEncoded } from "../handlers.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal, type Refusal } from "../refusal.js";
import { REQUEST_ID_HEADER } from "../request-id.js";
import { deadlineExceeded, refusalOfThrown } from "../status.js";
import type { TransportOptions } from "../transport.js";
import { ConnectAnswers } from "./connect-answers.js";
import { ConnectCall } from "./connect-call.js";
import { toConnectError } from "./connect-status.js";

/** A handler as Connect calls it, whatever its kind. */
export type ConnectHandler = (input: never, context: HandlerContext) => unknown;

/** Wraps a handler for Connect: refusals and throws become Connect's errors. */
export function toConnectHandler(bound: BoundMethod, options: TransportOptions): ConnectHandler {
  const connect = options.observers.of(bound.method, "connect");
  const grpcWeb = options.observers.of(bound.method, "grpc-web");
  const observerOf = ({ protocolName }: HandlerContext): CallObserver =>
    protocolName === "grpc-web" ? grpcWeb : connect;
  const single = (context: HandlerContext, open: (call: ConnectCall) => Answer | Promise<Answer>, timeoutMs?: number) =>
    answerOnce(new ConnectCall(context), open, bound.name, options, observerOf(context), timeoutMs);
  const many = (context: HandlerContext, open: (call: ConnectCall) => AnswerStream<Message>) =>
    answerMany(new ConnectCall(context), open, bound.name, options, observerOf(context));
  switch (bound.kind) {
    case "unary":
      return (request: Message, context) =>
        single(context, (call) => bound.handle(request, call), options.limits.unaryTimeoutMs);
    case "client_streaming":
      return (requests: AsyncIterable<Message>, context) => single(context, (call) => bound.handle(requests, call));
    case "server_streaming":
      return (request: Message, context) => many(context, (call) => bound.handle(request, call));
    case "bidi_streaming":
      return (requests: AsyncIterable<Message>, context) => many(context, (call) => bound.handle(requests, call));
  }
}

/** The handler's answer, or an error if the client's leaving or the time limit comes before it. */
async function answerOnce(
  call: ConnectCall,
  open: (call: ConnectCall) => Answer | Promise<Answer>,
  method: string,
  options: TransportOptions,
  observer: CallObserver,
  timeoutMs?: number,
): Promise<Message> {
  observer.begin(call);
  const aborted = new Promise<Refusal>((resolve) => call.onAbort(resolve));
  const abort = () => call.abort(deadlineExceeded);
  const stopTimer = timeoutMs === undefined ? undefined : options.clock.after(timeoutMs, abort);
  try {
    const answer = await Promise.race([open(call), aborted]);
    if (isRefusal(answer)) throw answer;
    const message = isEncoded(answer) ? answer.message : answer;
    call.answered();
    observer.end(call, undefined);
    return message;
  } catch (thrown) {
    throw toError(thrown, method, call, options, observer);
  } finally {
    stopTimer?.();
    call.finish();
  }
}

function answerMany(
  call: ConnectCall,
  open: (call: ConnectCall) => AnswerStream<Message>,
  method: string,
  options: TransportOptions,
  observer: CallObserver,
): AsyncIterable<Message> {
  observer.begin(call);
  const fail = (thrown: unknown): ConnectError => toError(thrown, method, call, options, observer);
  try {
    return new ConnectAnswers(open(call)[Symbol.asyncIterator](), call, fail, observer);
  } catch (thrown) {
    call.finish();
    throw fail(thrown);
  }
}

/** What a call fails with, which ends it. */
function toError(
  thrown: unknown,
  method: string,
  call: ConnectCall,
  options: TransportOptions,
  observer: CallObserver,
): ConnectError {
  // Connect's own, from a request stream that a handler reads: it says what is wrong with the request.
  if (thrown instanceof ConnectError) {
    observer.endWith(call, thrown.code);
    return thrown;
  }
  const requestId = call.name();
  const refusal = refusalOfThrown(thrown, method, options.log, call);
  observer.end(call, refusal);
  const error = toConnectError(refusal);
  error.metadata.set(REQUEST_ID_HEADER, requestId);
  return error;
}
