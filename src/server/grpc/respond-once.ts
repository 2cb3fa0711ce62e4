import type { sendUnaryData } from "@grpc/grpc-js";
import type { StopTimer } from "../../base/index.js";
import type { Answer, BoundMethod, ClientStreamFunction, UnaryFunction } from "../bound-method.js";
import { isRefusal } from "../refusal.js";
import { deadlineExceeded, refusalOfThrown } from "../status.js";
import { type Decoded, encodeAnswer, Undecodable } from "./codec.js";
import { GrpcCall, type GrpcHost, type SurfaceCall } from "./grpc-call.js";
import { toGrpcStatus } from "./grpc-status.js";
import { RequestStream } from "./request-stream.js";

type Send = sendUnaryData<Buffer>;
type UnaryCall = SurfaceCall & { readonly request: Decoded };
type ReadableCall = ConstructorParameters<typeof RequestStream>[0];

// What fits HTTP/2's initial window leaves at once, and one connection can hold no more than max_concurrent_streams
// of these. A larger answer waits for its client to read.
const WATCHED_ANSWER_BYTES = 65_535;

/** grpc-js's handler of a unary method. A handler that answers at once costs no promise, timer or signal. */
export function unaryHandler(bound: BoundMethod, handle: UnaryFunction, host: GrpcHost) {
  return (surface: UnaryCall, send: Send): void => {
    const { request } = surface;
    const call = new GrpcCall(surface);
    const response = new SingleResponse(surface, call, send, bound, host);
    if (request instanceof Undecodable) response.give(request.refusal);
    else response.take(() => handle(request, call), host.limits.unaryTimeoutMs);
  };
}

/** grpc-js's handler of a client-streaming method. Bounded by how long the client may pause, not as a whole. */
export function clientStreamHandler(bound: BoundMethod, handle: ClientStreamFunction, host: GrpcHost) {
  return (surface: ReadableCall, send: Send): void => {
    const call = new GrpcCall(surface);
    const requests = new RequestStream(surface, call, host, host.limits.stallTimeoutMs);
    new SingleResponse(surface, call, send, bound, host).take(() => handle(requests, call));
  };
}

/** The one answer of a call: whichever comes first of the handler's, the time limit and the client's leaving. */
class SingleResponse {
  #given = false;
  #stopTimer: StopTimer | undefined;

  constructor(
    readonly surface: SurfaceCall,
    readonly call: GrpcCall,
    readonly send: Send,
    readonly bound: BoundMethod,
    readonly host: GrpcHost,
  ) {}

  /** Gives what the handler answers. */
  take(open: () => Answer | Promise<Answer>, timeoutMs?: number): void {
    try {
      const answer = open();
      if (answer instanceof Promise) this.#follow(answer, timeoutMs);
      else this.give(answer);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  give(answer: Answer): void {
    if (this.#given) return;
    this.#given = true;
    this.#stopTimer?.();
    this.call.finish();
    const outcome = isRefusal(answer) ? answer : encodeAnswer(this.bound, answer, this.host.log);
    if (isRefusal(outcome)) {
      this.send(toGrpcStatus(outcome));
    } else {
      if (outcome.byteLength > WATCHED_ANSWER_BYTES) this.#watch();
      this.send(null, outcome);
    }
  }

  #follow(answer: Promise<Answer>, timeoutMs: number | undefined): void {
    const { clock } = this.host;
    this.call.onAbort((reason) => this.give(reason));
    this.call.followClient(clock);
    if (timeoutMs !== undefined) this.#stopTimer = clock.after(timeoutMs, () => this.call.abort(deadlineExceeded));
    answer.then(
      (value) => this.give(value),
      (thrown) => this.#fail(thrown),
    );
  }

  #fail(thrown: unknown): void {
    // What a handler throws because its call was aborted is of no interest.
    if (!this.#given) this.give(refusalOfThrown(thrown, this.bound.name, this.host.log));
  }

  /** Cuts off a client that does not take a large answer. `cancelled` is also what grpc-js says once it was sent. */
  #watch(): void {
    const { clock, limits, cutOff } = this.host;
    const { peer } = this.call;
    const stop = clock.after(limits.stallTimeoutMs, () => cutOff(peer, this.bound.name));
    this.surface.once("cancelled", stop);
  }
}
