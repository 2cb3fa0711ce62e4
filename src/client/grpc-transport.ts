import { type CallOptions, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  type EvaluateRequest,
  type EvaluateResponse,
  EvaluationService,
  type WatchRequest,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { GrpcSession, type TlsOptions } from "./grpc-session.js";
import { type MirrorTransport, type RemoteTransport, type TransportCode, TransportError } from "./transport.js";

/** Settings of gRPC in Node. */
export interface GrpcTransportOptions {
  readonly url: URL;
  readonly token?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Default 20 s: a half-open connection is noticed before the mirror is stale. */
  readonly pingIntervalMs?: number | undefined;
  /** Default 10 s. */
  readonly pingTimeoutMs?: number | undefined;
}

/** A segment may list two million keys and travels alone; anything above is no message of ours. */
const MAX_MESSAGE_BYTES = 512 * 1_048_576;

/** After so many deadlines in a row a connection is taken for half-open and replaced. */
const MAX_DEADLINES = 3;

/** gRPC over HTTP/2, in Node. Connects when first used. */
export function openGrpcTransport(options: GrpcTransportOptions): MirrorTransport & RemoteTransport {
  return new GrpcTransport(options);
}

class GrpcTransport implements MirrorTransport, RemoteTransport {
  readonly address: string;
  readonly #options: GrpcTransportOptions;
  readonly #headers: CallOptions;
  readonly #watchSessions = new Set<GrpcSession>();
  #callSession: GrpcSession | undefined;
  #deadlines = 0;
  #isDetached = false;

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
    this.address = options.url.origin;
    this.#headers = options.token === undefined ? {} : { headers: { authorization: `Bearer ${options.token}` } };
  }

  /**
   * Each stream has a connection of its own, so that giving up a stream gives up a half-open connection too, and
   * reconnecting reaches another server where there are several.
   */
  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    const session = this.#openSession(this.#isDetached);
    this.#watchSessions.add(session);
    const abort = (): void => session.abort();
    signal.addEventListener("abort", abort);
    try {
      yield* this.#client(session).watch(request, { ...this.#headers, signal });
    } catch (error) {
      throw toTransportError(error);
    } finally {
      signal.removeEventListener("abort", abort);
      this.#watchSessions.delete(session);
      session.abort();
    }
  }

  async evaluate(request: EvaluateRequest, timeoutMs: number): Promise<EvaluateResponse> {
    this.#callSession ??= this.#openSession(false);
    const session = this.#callSession;
    try {
      const response = await this.#client(session).evaluate(request, { ...this.#headers, timeoutMs });
      this.#deadlines = 0;
      return response;
    } catch (error) {
      const mapped = toTransportError(error);
      this.#deadlines = mapped.code === "DEADLINE_EXCEEDED" ? this.#deadlines + 1 : 0;
      if (this.#deadlines >= MAX_DEADLINES && session === this.#callSession) this.#dropCallSession();
      throw mapped;
    }
  }

  unref(): void {
    this.#isDetached = true;
    for (const session of this.#watchSessions) session.unref();
  }

  async close(): Promise<void> {
    for (const session of this.#watchSessions) session.abort();
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

  #client(sessionManager: GrpcSession) {
    const transport = createGrpcTransport({
      baseUrl: this.#options.url.href,
      sessionManager,
      readMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    });
    return createClient(EvaluationService, transport);
  }
}

/** Connect's errors in our words. Everything that fails ends here. */
function toTransportError(thrown: unknown): TransportError {
  const error = ConnectError.from(thrown, Code.Internal);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  return new TransportError(CODES[error.code], error.rawMessage, reason, { cause: thrown });
}

const CODES: { readonly [code in Code]: TransportCode } = {
  [Code.Canceled]: "CANCELLED",
  [Code.Unknown]: "UNKNOWN",
  [Code.InvalidArgument]: "INVALID_ARGUMENT",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.NotFound]: "NOT_FOUND",
  [Code.AlreadyExists]: "ALREADY_EXISTS",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.ResourceExhausted]: "RESOURCE_EXHAUSTED",
  [Code.FailedPrecondition]: "FAILED_PRECONDITION",
  [Code.Aborted]: "ABORTED",
  [Code.OutOfRange]: "OUT_OF_RANGE",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.Internal]: "INTERNAL",
  [Code.Unavailable]: "UNAVAILABLE",
  [Code.DataLoss]: "DATA_LOSS",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
};
