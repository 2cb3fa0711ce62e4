import { type Attributes, ROOT_CONTEXT, SpanKind, type SpanOptions, type TextMapGetter } from "@opentelemetry/api";
import { attempt } from "../../base/index.js";
import { codeName } from "../metrics/status-codes.js";
import { givenRequestId, type NamedCall, requestIdOf } from "../request-id.js";
import { CallTrace } from "./call-trace.js";
import type { CallTracing } from "./call-tracing.js";

/** What a call ended with. */
export interface CallEnd {
  /** The number of gRPC's status code. */
  readonly code: number;
  /** The reason of the refusal, where the call was refused. */
  readonly reason?: string | undefined;
  /** Where the answer is one of plain HTTP, and was sent. */
  readonly httpStatus?: number | undefined;
}

/** What the calls of one method by one protocol are called, in the words of the conventions for that protocol. */
export interface SpanConvention {
  /** The name of the spans. */
  readonly name: string;
  /** What all of them have. */
  readonly attributes: Attributes;
  /** How a call ended. */
  readonly describe: (end: CallEnd) => Attributes;
  /** Whether that is a failure of the server. What a client did wrong is none. */
  readonly hasFailed: (end: CallEnd) => boolean;
}

const headers: TextMapGetter<NamedCall> = {
  get: (call, name) => call.header(name),
  // Which there are, no call tells: who looks for a trace knows the names.
  keys: () => [],
};

/** Begins and ends the spans of one method's calls. */
export class TracedMethod {
  readonly #tracing: CallTracing;
  readonly #convention: SpanConvention;
  readonly #options: SpanOptions;

  /** `shared`: what the spans of all methods have. */
  constructor(tracing: CallTracing, convention: SpanConvention, shared: Attributes) {
    this.#tracing = tracing;
    this.#convention = convention;
    this.#options = { kind: SpanKind.SERVER, attributes: { ...shared, ...convention.attributes } };
  }

  /** Undefined for a call that is not sampled, or whose span the SDK fails to begin: nothing more is done for it. */
  start(call: NamedCall): CallTrace | undefined {
    return attempt(() => this.#start(call));
  }

  #start(call: NamedCall): CallTrace | undefined {
    const { tracer, propagator } = this.#tracing;
    const parent = propagator.extract(ROOT_CONTEXT, call, headers);
    const span = tracer.startSpan(this.#convention.name, this.#options, parent);
    return span.isRecording() ? new CallTrace(tracer, span) : undefined;
  }

  end(trace: CallTrace, call: NamedCall, end: CallEnd): void {
    // An error is answered and logged with an id: the same one.
    const requestId = end.reason === undefined ? (call.requestId ?? givenRequestId(call)) : requestIdOf(call);
    const { describe, hasFailed } = this.#convention;
    const isNews = requestId !== undefined && requestId !== trace.traceId;
    trace.end({ ...describe(end), ...(isNews && { "flagwire.request_id": requestId }) }, hasFailed(end));
  }
}

/** Errors of the server, by the conventions for gRPC and Connect. */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** The convention for remote procedure calls. gRPC-Web is gRPC. */
export function rpcConvention(service: string, method: string, system: "grpc" | "connectrpc"): SpanConvention {
  const name = `${service}/${method}`;
  // Connect writes its codes in lower case, and has none for what went well.
  const toText = system === "grpc" ? codeName : (code: number) => codeName(code).toLowerCase();
  const hasFailed = ({ code }: CallEnd): boolean => SERVER_ERRORS.has(codeName(code));
  return {
    name,
    attributes: { "rpc.system.name": system, "rpc.method": name },
    describe: (end) => ({
      ...((system === "grpc" || end.code !== 0) && { "rpc.status_code": toText(end.code) }),
      ...(hasFailed(end) && { "error.type": toText(end.code) }),
      ...(end.reason !== undefined && { "flagwire.refusal.reason": end.reason }),
    }),
    hasFailed,
  };
}

/** The convention for HTTP. A path may hold anything, so only the route is told. */
export function httpConvention(method: string, route: string): SpanConvention {
  const hasFailed = ({ httpStatus }: CallEnd): boolean => httpStatus === undefined || httpStatus >= 500;
  return {
    name: `${method} ${route}`,
    attributes: { "http.request.method": method, "http.route": route },
    describe: (end) => ({
      ...(end.httpStatus !== undefined && { "http.response.status_code": end.httpStatus }),
      ...(hasFailed(end) && { "error.type": String(end.httpStatus ?? codeName(end.code)) }),
    }),
    hasFailed,
  };
}
