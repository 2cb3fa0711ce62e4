import type { Message } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Answer, BoundMethod } from "../bound-method.js";
import { type AnswerStream, isEncoded } from "../handlers.js";
import { isRefusal, type Refusal } from "../refusal.js";
import { deadlineExceeded, refusalOfThrown } from "../status.js";
import type { TransportOptions } from "../transport.js";
import { ConnectAnswers } from "./connect-answers.js";
import { ConnectCall } from "./connect-call.js";
import { toConnectError } from "./connect-status.js";

/** A handler as Connect calls it, whatever its kind. */
export type ConnectHandler = (input: never, context: HandlerContext) => unknown;

/** Wraps a handler for Connect: refusals and throws become Connect's errors. */
export function toConnectHandler(bound: BoundMethod, options: TransportOptions): ConnectHandler {
  const single = (context: HandlerContext, open: (call: ConnectCall) => Answer | Promise<Answer>, timeoutMs?: number) =>
    answerOnce(new ConnectCall(context), open, bound.name, options, timeoutMs);
  const many = (context: HandlerContext, open: (call: ConnectCall) => AnswerStream<Message>) =>
    answerMany(new ConnectCall(context), open, bound.name, options);
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
  timeoutMs?: number,
): Promise<Message> {
  const aborted = new Promise<Refusal>((resolve) => call.onAbort(resolve));
  const abort = () => call.abort(deadlineExceeded);
  const stopTimer = timeoutMs === undefined ? undefined : options.clock.after(timeoutMs, abort);
  try {
    const answer = await Promise.race([open(call), aborted]);
    if (isRefusal(answer)) throw answer;
    const message = isEncoded(answer) ? answer.message : answer;
    call.answered();
    return message;
  } catch (thrown) {
    throw toError(thrown, method, options);
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
): AsyncIterable<Message> {
  const fail = (thrown: unknown) => toError(thrown, method, options);
  try {
    return new ConnectAnswers(open(call)[Symbol.asyncIterator](), call, fail);
  } catch (thrown) {
    call.finish();
    throw fail(thrown);
  }
}

function toError(thrown: unknown, method: string, options: TransportOptions): ConnectError {
  // Connect's own, from a request stream that a handler reads: it says what is wrong with the request.
  if (thrown instanceof ConnectError) return thrown;
  return toConnectError(refusalOfThrown(thrown, method, options.log));
}
