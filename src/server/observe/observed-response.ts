import type { ServerResponse } from "node:http";
import type { CallObserver, ObservedCall } from "./call-observer.js";

// What is observed hangs on the response: the listener that every response has finds it there.
const observerKey = Symbol("observer");
const callKey = Symbol("call");
type ObservedResponse = ServerResponse & { [observerKey]?: CallObserver | undefined; [callKey]?: ObservedCall };

/** Observes a request that begins now. It is over when its response is closed: whoever serves it calls `responseClosed` then. */
export function observeResponse(response: ObservedResponse, observer: CallObserver, call: ObservedCall): void {
  response[observerKey] = observer;
  response[callKey] = call;
  observer.begin(call);
}

/** The response has left, or its client has gone. */
export function responseClosed(response: ObservedResponse): void {
  const { [observerKey]: observer, [callKey]: call } = response;
  if (call !== undefined) observer?.endHttp(call, response.writableFinished ? response.statusCode : undefined);
}

/** Whose response it is, where it is observed. */
export function observedCallOf(response: ObservedResponse): ObservedCall | undefined {
  return response[callKey];
}

/** It is a stream, and has begun. */
export function responseOpened(response: ObservedResponse): void {
  const { [observerKey]: observer, [callKey]: call } = response;
  if (call !== undefined) observer?.opened(call, response.statusCode);
}
