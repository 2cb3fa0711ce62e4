import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Attributes } from "@opentelemetry/api";
import {
  type EvaluateRequest,
  type EvaluateResponse,
  EvaluationService,
  type ReportUsageRequest,
  type ReportUsageResponse,
  type WatchRequest,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, systemClock } from "../base/index.js";
import { CallSpan, type RpcSystem } from "./call-span.js";
import type { TlsOptions } from "./connect-socket.js";
import { firstToSpeak, type Way } from "./first-to-speak.js";
import { GrpcSession } from "./grpc-session.js";
import { Http1Connection } from "./http1-connection.js";
import { toPollError, toTransportError } from "./to-transport-error.js";
import { isRefused, type MirrorTransport, type RemoteTransport } from "./transport.js";
import { WatchSpan } from "./watch-span.js";

/** Settings of gRPC in Node. */
export interface GrpcTransportOptions {
  readonly url: URL;
  readonly token?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Default 20 s: a half-open connection is noticed before the mirror is stale. */
  readonly pingIntervalMs?: number | undefined;
  /** Default 10 s. */
  readonly pingTimeoutMs?: number | undefined;
  /**
   * How long a poll may say nothing by one protocol before the other is tried beside it. Default 2 s: servers answer within
   * one.
   */
  readonly otherProtocolAfterMs?: number | undefined;
  /** Default the system's. */
  readonly clock?: Clock | undefined;
}

/** A segment may list two million keys and travels alone; anything above is no message of ours. */
const MAX_MESSAGE_BYTES = 512 * 1_048_576;

/** After so many deadlines in a row a connection is taken for half-open and replaced. */
const MAX_DEADLINES = 3;

type Headers = Readonly<Record<string, string>>;

type Service = Client<typeof EvaluationService>;

/** What a poll goes by: gRPC over HTTP/2, or Connect over HTTP/1.1 where a proxy in between knows nothing else. */
type PollProtocol = "grpc" | "http1";

/** gRPC over HTTP/2, in Node; polls also by Connect over HTTP/1.1. Connects when first used. */
export function openGrpcTransport(options: GrpcTransportOptions): MirrorTransport & RemoteTransport {
  return new GrpcTransport(options);
}

class GrpcTransport implements MirrorTransport, RemoteTransport {
  readonly address: string;
  readonly #options: GrpcTransportOptions;
  readonly #headers: Headers;
  readonly #watchSessions = new Set<GrpcSession>();
  /** That of the stream which is open. */
  #streamSession: GrpcSession | undefined;
  #http1: Http1Connection | undefined;
  /** By which the last poll came through: it is tried first. */
  #pollProtocol: PollProtocol = "grpc";
  #callSession: GrpcSession | undefined;
  #deadlines = 0;
  #isDetached = false;

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
    this.address = options.url.origin;
    this.#headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  }

  #startSpan(method: keyof typeof METHODS, system: RpcSystem, isBackground: boolean, attributes: Attributes): CallSpan {
    const { url } = this.#options;
    return new CallSpan({ method: METHODS[method], system, url, isBackground, attributes });
  }

  /** All that goes with a call. */
  #with(headers: Headers): Record<string, string> {
    // Ours go before what a propagator adds.
    return { ...headers, ...this.#headers };
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    const isPoll = request.once && this.#pollProtocol === "http1";
    // Whoever opens a mirror waits for the first update; the streams after that are nobody's.
    const span = this.#startSpan("watch", isPoll ? "connectrpc" : "grpc", this.#isDetached, {
      "feature_flag.set.id": request.environment,
      "flagwire.watch.once": request.once,
    });
    try {
      const messages = request.once ? this.#poll(request, signal, span) : this.#stream(request, signal, span.headers);
      yield* new WatchSpan(span, signal).follow(messages);
    } catch (error) {
      throw toTransportError(error);
    }
  }

  /**
   * Each stream has a connection of its own, so that giving up a stream gives up a half-open connection too, and
   * reconnecting reaches another server where there are several.
   */
  async *#stream(
    request: WatchRequest,
    signal: AbortSignal,
    headers: Headers,
  ): AsyncGenerator<WatchResponse, void, undefined> {
    const session = this.#openSession(this.#isDetached);
    this.#watchSessions.add(session);
    if (!request.once) this.#streamSession = session;
    const abort = (): void => this.#dropWatchSession(session);
    signal.addEventListener("abort", abort);
    try {
      yield* this.#client(session).watch(request, { headers: this.#with(headers), signal });
    } finally {
      signal.removeEventListener("abort", abort);
      this.#dropWatchSession(session);
    }
  }

  #dropWatchSession(session: GrpcSession): void {
    this.#watchSessions.delete(session);
    if (this.#streamSession === session) this.#streamSession = undefined;
    session.abort();
  }

  /** By the protocol that worked last, and beside it by the other where that fails or is silent. */
  async *#poll(
    request: WatchRequest,
    signal: AbortSignal,
    span: CallSpan,
  ): AsyncGenerator<WatchResponse, void, undefined> {
    const { clock = systemClock, otherProtocolAfterMs: delayMs = 2_000 } = this.#options;
    const protocols = [this.#pollProtocol, other(this.#pollProtocol)];
    const ways = protocols.map((protocol): Way<WatchResponse> => {
      if (protocol === "grpc") return (stop) => this.#stream(request, stop, span.headers);
      return (stop) => this.#http1Client().watch(request, { headers: this.#with(span.headers), signal: stop });
    });
    const isFinal = (error: unknown): boolean => isRefused(toTransportError(error));
    const blame = (errors: readonly unknown[]): unknown => toPollError(errors[0], errors[protocols.indexOf("http1")]);
    const impatience = { clock, delayMs, signal, isFinal, blame };
    for await (const [message, way] of firstToSpeak(ways, impatience)) {
      const protocol = protocols[way] ?? "grpc";
      span.cameBy(protocol === "grpc" ? "grpc" : "connectrpc");
      // One that brings only a part, such as where a proxy cuts after so many bytes, is the last to be tried again.
      this.#pollProtocol = message.commit === undefined ? other(protocol) : protocol;
      yield message;
    }
  }

  /** On the stream's connection if there is one: each other would be opened for this call alone. */
  async reportUsage(request: ReportUsageRequest, signal: AbortSignal): Promise<ReportUsageResponse> {
    const session = this.#streamSession;
    const isHttp1 = session === undefined && this.#pollProtocol === "http1";
    const span = this.#startSpan("reportUsage", isHttp1 ? "connectrpc" : "grpc", true, {
      "feature_flag.set.id": request.environment,
    });
    try {
      const options = { headers: this.#with(span.headers), signal };
      const service = isHttp1 ? this.#http1Client() : session && this.#client(session);
      const response = await (service?.reportUsage(request, options) ?? this.#reportAlone(request, options));
      span.end();
      return response;
    } catch (error) {
      const mapped = toTransportError(error);
      span.fail(mapped);
      throw mapped;
    }
  }

  async #reportAlone(request: ReportUsageRequest, options: CallOptions): Promise<ReportUsageResponse> {
    const session = this.#openSession(this.#isDetached);
    const abort = (): void => session.abort();
    options.signal?.addEventListener("abort", abort);
    try {
      return await this.#client(session).reportUsage(request, options);
    } finally {
      options.signal?.removeEventListener("abort", abort);
      session.abort();
    }
  }

  async evaluate(request: EvaluateRequest, timeoutMs: number): Promise<EvaluateResponse> {
    this.#callSession ??= this.#openSession(false);
    const session = this.#callSession;
    const span = this.#startSpan("evaluate", "grpc", false, {
      "feature_flag.key": request.flagKey,
      "feature_flag.provider.name": "flagwire",
      "feature_flag.set.id": request.environment,
    });
    try {
      const headers = this.#with(span.headers);
      const response = await this.#client(session).evaluate(request, { headers, timeoutMs });
      this.#deadlines = 0;
      span.end(describeAnswer(response));
      return response;
    } catch (error) {
      const mapped = toTransportError(error);
      span.fail(mapped);
      this.#deadlines = mapped.code === "DEADLINE_EXCEEDED" ? this.#deadlines + 1 : 0;
      if (this.#deadlines >= MAX_DEADLINES && session === this.#callSession) this.#dropCallSession();
      throw mapped;
    }
  }

  unref(): void {
    this.#isDetached = true;
    for (const session of this.#watchSessions) session.unref();
    this.#http1?.unref();
  }

  async close(): Promise<void> {
    for (const session of this.#watchSessions) this.#dropWatchSession(session);
    this.#http1?.abort();
    this.#dropCallSession();
  }

  #dropCallSession(): void {
    this.#callSession?.abort();
    this.#callSession = undefined;
    this.#deadlines = 0;
  }

  #openSession(isDetached: boolean): GrpcSession {
    const { url, tls, pingIntervalMs = 20_000, pingTimeoutMs = 10_000 } = this.#options;
    return new GrpcSession({ url, tls, pingIntervalMs, pingTimeoutMs }, isDetached);
  }

  #http1Client(): Service {
    const { url, tls } = this.#options;
    this.#http1 ??= new Http1Connection({ url, tls, readMaxBytes: MAX_MESSAGE_BYTES }, this.#isDetached);
    return createClient(EvaluationService, this.#http1.transport);
  }

  #client(sessionManager: GrpcSession): Service {
    const transport = createGrpcTransport({
      baseUrl: this.#options.url.href,
      sessionManager,
      readMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    });
    return createClient(EvaluationService, transport);
  }
}

const METHODS = {
  evaluate: "flagwire.v1.EvaluationService/Evaluate",
  reportUsage: "flagwire.v1.EvaluationService/ReportUsage",
  watch: "flagwire.v1.EvaluationService/Watch",
} as const;

function describeAnswer({ variant, reason, revision }: EvaluateResponse): Attributes {
  return {
    "feature_flag.result.reason": reason.toLowerCase(),
    "feature_flag.version": String(revision),
    ...(variant !== "" && { "feature_flag.result.variant": variant }),
  };
}

function other(protocol: PollProtocol): PollProtocol {
  return protocol === "grpc" ? "http1" : "grpc";
}
