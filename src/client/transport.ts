import type {
  EvaluateRequest,
  EvaluateResponse,
  ReportUsageRequest,
  ReportUsageResponse,
  WatchRequest,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";

/** How a mirror reaches its server. */
export interface MirrorTransport {
  /** The server, for messages to people, such as `http://127.0.0.1:8013`. */
  readonly address: string;
  /**
   * Opens a stream on a connection of its own and iterates its messages. Throws a `TransportError` where the stream fails
   * or its status is not OK. When `signal` aborts the connection is dropped, a half-open one too; a MirrorError as the reason says what was
   * wrong with what came. A request with `once` is a
   * poll, by whatever gets through to the server: it ends after one update.
   */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchResponse>;
  /**
   * Throws a `TransportError` unless the server has counted the report; with RESOURCE_EXHAUSTED, it comes again in smaller ones.
   * Absent: usage is not reported.
   */
  reportUsage?(request: ReportUsageRequest, signal: AbortSignal): Promise<ReportUsageResponse>;
  /** From now on, streams open and to come do not keep the program from ending by itself. */
  unref(): void;
  /** Drops every connection. */
  close(): Promise<void>;
}

/** How a remote client reaches its server. */
export interface RemoteTransport {
  /** See MirrorTransport. */
  readonly address: string;
  /** Throws a `TransportError` unless there is an answer within `timeoutMs`. */
  evaluate(request: EvaluateRequest, timeoutMs: number): Promise<EvaluateResponse>;
  /** Drops every connection. */
  close(): Promise<void>;
}

/** gRPC's status codes without OK. */
export type TransportCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** A call or stream that failed, whatever carried it. */
export class TransportError extends Error {
  override readonly name = "TransportError";

  constructor(
    readonly code: TransportCode,
    message: string,
    /** The stable reason of the server's `google.rpc.ErrorInfo`, such as `FLAG_NOT_FOUND`. */
    readonly reason?: string | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The server understood and said no: asking again will not help until somebody changes something. */
export function isRefused(error: unknown): error is TransportError {
  return error instanceof TransportError && REFUSALS.has(error.code);
}

const REFUSALS: ReadonlySet<TransportCode> = new Set([
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "NOT_FOUND",
  "INVALID_ARGUMENT",
]);

/** Nobody could be connected to: no other way of asking would fare better. */
export function isUnreachable(error: unknown): boolean {
  const seen = new Set<unknown>();
  for (let cause = error; cause instanceof Error && !seen.has(cause); cause = cause.cause) {
    if ("code" in cause && UNREACHABLE.has(cause.code)) return true;
    seen.add(cause);
  }
  return false;
}

/** Of Node's errors. */
const UNREACHABLE: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
]);

/**
 * The stream ended in a way that says nothing against what it brought. After any other error, such as a message that
 * cannot be decoded, nothing is taken for granted.
 */
export function leavesPositionIntact(error: unknown): boolean {
  return error instanceof TransportError && CLEAN_ENDS.has(error.code);
}

const CLEAN_ENDS: ReadonlySet<TransportCode> = new Set([
  "CANCELLED",
  // No server of ours answers so: it is what a proxy made of its own trouble.
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "ABORTED",
  "UNIMPLEMENTED",
  "UNAVAILABLE",
  "UNAUTHENTICATED",
]);
