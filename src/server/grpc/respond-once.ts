import type { sendUnaryData } from "@grpc/grpc-js";
import type { Answer, BoundMethod, ClientStreamFunction, UnaryFunction } from "../bound-method.js";
import type { CallObserver } from "../observe/call-observer.js";
import { isRefusal } from "../refusal.js";
import { requestIdOf } from "../request-id.js";
import { type Decoded, encodeAnswer, Undecodable } from "./codec.js";
import { GrpcCall, type GrpcHost, type SurfaceCall } from "./grpc-call.js";
import { toGrpcStatus } from "./grpc-status.js";
import { RequestStream } from "./request-stream.js";
import { SingleAnswer } from "./single-answer.js";

type Send = sendUnaryData<Buffer>;
type UnaryCall = SurfaceCall & { readonly request: Decoded };
type ReadableCall = ConstructorParameters<typeof RequestStream>[0];

/** grpc-js's handler of a unary method, for the calls that `RawStreams` does not take. */
export function unaryHandler(bound: BoundMethod, handle: UnaryFunction, host: GrpcHost) {
  const observer = host.observers.of(bound.method, "grpc");
  return (surface: UnaryCall, send: Send): void => {
    const { request } = surface;
    const call = new GrpcCall(surface);
    const single = new SingleAnswer(call, sendAnswer(surface, call, send, bound, host, observer), bound.name, host);
    if (request instanceof Undecodable) single.give(request.refusal);
    else single.take(() => handle(request, call), host.limits.unaryTimeoutMs);
  };
}

/** grpc-js's handler of a client-streaming method. Bounded by how long the client may pause, not as a whole. */
export function clientStreamHandler(bound: BoundMethod, handle: ClientStreamFunction, host: GrpcHost) {
  const observer = host.observers.of(bound.method, "grpc");
  return (surface: ReadableCall, send: Send): void => {
    const call = new GrpcCall(surface);
    const requests = new RequestStream(surface, call, host, host.limits.stallTimeoutMs);
    const single = new SingleAnswer(call, sendAnswer(surface, call, send, bound, host, observer), bound.name, host);
    single.take(() => handle(requests, call));
  };
}

function sendAnswer(
  surface: SurfaceCall,
  call: GrpcCall,
  send: Send,
  bound: BoundMethod,
  host: GrpcHost,
  observer: CallObserver,
) {
  observer.begin(call);
  return (answer: Answer): void => {
    const outcome = isRefusal(answer) ? answer : encodeAnswer(bound, answer, host.log, call);
    observer.end(call, isRefusal(outcome) ? outcome : undefined);
    if (isRefusal(outcome)) {
      send(toGrpcStatus(outcome, call));
      return;
    }
    watch(surface, call, bound, host);
    send(null, outcome);
  };
}

/** Cuts off a client that does not take its answer, be it small: a window may be too. `cancelled` is also what grpc-js says once it was sent. */
function watch(surface: SurfaceCall, call: GrpcCall, bound: BoundMethod, host: GrpcHost): void {
  const { clock, limits, cutOff } = host;
  // Asked for now: a session that was destroyed has no peer.
  const { peer } = call;
  const stop = clock.after(limits.stallTimeoutMs, () => cutOff({ peer, requestId: requestIdOf(call) }, bound.name));
  surface.once("cancelled", stop);
}
