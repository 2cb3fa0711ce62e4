import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { attempt } from "../base/index.js";
import type { TransportError } from "./transport.js";
import { clientVersion } from "./version.js";

/** By what a call goes, in OpenTelemetry's words. */
export type RpcSystem = "grpc" | "connectrpc";

/** What a span begins with. */
export interface CallSpanOptions {
  /** With its service, as on the wire. */
  readonly method: string;
  readonly system: RpcSystem;
  readonly url: URL;
  /** Nobody waits for it: it begins a trace of its own, however long ago and in whose call the work behind it was begun. */
  readonly isBackground: boolean;
  readonly attributes: Attributes;
}

/**
 * The span of one call to the server, in the SDK that the program has registered by OpenTelemetry's API; without one it does nothing.
 * Names are those of the semantic conventions 1.45.0. Nothing of a context ever comes here. What the SDK throws is not the call's failure:
 * then less is recorded.
 */
export class CallSpan {
  /** Undefined where the SDK failed to begin it. */
  readonly #span: Span | undefined;
  /** What to send with the call, so that the server's spans are of the same trace. */
  readonly headers: Readonly<Record<string, string>>;
  #system: RpcSystem;
  #isOver = false;

  constructor({ method, system, url, isBackground, attributes }: CallSpanOptions) {
    const parent: Context = (isBackground ? undefined : attempt(() => context.active())) ?? ROOT_CONTEXT;
    this.#system = system;
    const options: SpanOptions = {
      kind: SpanKind.CLIENT,
      attributes: {
        ...attributes,
        "rpc.system.name": system,
        "rpc.method": method,
        "server.address": url.hostname,
        "server.port": Number(url.port || (url.protocol === "https:" ? 443 : 80)),
      },
    };
    const span = attempt(() => trace.getTracer("flagwire", clientVersion).startSpan(method, options, parent));
    this.#span = span;
    this.headers = (span && attempt(() => injected(trace.setSpan(parent, span)))) ?? {};
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It came through by this, after all. */
  cameBy(system: RpcSystem): void {
    if (system === this.#system) return;
    this.#system = system;
    attempt(() => this.#span?.setAttribute("rpc.system.name", system));
  }

  /** Ends it well. Only the first end counts. */
  end(attributes: Attributes = {}): void {
    // Connect has no code for what went well.
    this.#end({ ...attributes, ...(this.#system === "grpc" && { "rpc.status_code": "OK" }) });
  }

  /** Ends it with an error; `errorType` is what it is called, where the status says too little. */
  fail({ code, reason }: Pick<TransportError, "code" | "reason">, errorType?: string): void {
    if (this.#isOver) return;
    const status = this.#system === "grpc" ? code : code.toLowerCase();
    attempt(() => this.#span?.setStatus({ code: SpanStatusCode.ERROR }));
    this.#end({
      "rpc.status_code": status,
      "error.type": errorType ?? status,
      ...(reason !== undefined && { "flagwire.refusal.reason": reason }),
    });
  }

  #end(attributes: Attributes): void {
    if (this.#isOver) return;
    this.#isOver = true;
    attempt(() => this.#span?.setAttributes(attributes));
    attempt(() => this.#span?.end());
  }
}

function injected(active: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(active, headers);
  return headers;
}
