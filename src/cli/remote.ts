import type { SecureClientSessionOptions } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock } from "../base/index.js";
import { toBaseUrl } from "./address.js";

export interface RemoteOptions {
  readonly address: string;
  /** Where the address is https. Default: what the system trusts, and no certificate of the client's. */
  readonly tls?: Pick<SecureClientSessionOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;
  readonly token: string | undefined;
  /** Recorded in history as the author of writes. */
  readonly author: string;
  /** Aborts every call. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** One attempt at a call. May be made twice: a write must carry its idempotency key. */
export type Attempt<T> = (options: CallOptions) => Promise<T>;

/** A connection to a server. Calls reject with `ConnectError`. */
export interface Remote {
  readonly admin: Client<typeof AdminService>;
  readonly evaluation: Client<typeof EvaluationService>;
  readonly address: string;
  /** Whether the last call may have changed something, answered or not. */
  readonly mayHaveWritten: boolean;
  /** Makes a call within `callBudgetMs` (`budgetMs`), and once more if the server was not available for the first. */
  call<T>(attempt: Attempt<T>, budgetMs?: number): Promise<T>;
  /** Makes sure within `callBudgetMs` that the server answers: before calls that may themselves take long. */
  reach(): Promise<void>;
  close(): void;
}

/** How long a call may take in all. Scripts rely on a write failing within 5 s when the server cannot be reached, and the
 * process takes its part of that to start. */
export const callBudgetMs = 4_000;
const retryDelayMs = 250;

export function openRemote(options: RemoteOptions): Remote {
  const baseUrl = toBaseUrl(options.address);
  // Pings notice a server that has gone without a word. A large import may keep it busy for seconds, so they are patient.
  const sessions = new Http2SessionManager(baseUrl, { pingIntervalMs: 10_000, pingTimeoutMs: 15_000 }, options.tls);
  let mayHaveWritten = false;
  const trackWrites = createWriteTracker((writes) => {
    mayHaveWritten = writes;
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: sessions,
    interceptors: [withHeaders(options), trackWrites],
  });
  const admin = createClient(AdminService, transport);
  const { clock, signal } = options;
  let broken = false;
  const call = async <T>(attempt: Attempt<T>, budgetMs = callBudgetMs): Promise<T> => {
    const deadline = clock.monotonicMs() + budgetMs;
    const leftMs = () => deadline - clock.monotonicMs();
    // Whole milliseconds: the header that carries it holds nothing else (connect-node 2.1.2 would send a fraction).
    const once = () => attempt({ timeoutMs: Math.ceil(leftMs()), signal });
    try {
      return await once();
    } catch (error) {
      broken = isNotGrpc(error);
      // Without time for another attempt: no time at all would mean no deadline to connect-node.
      if (!isUnavailable(error) || leftMs() < 2 * retryDelayMs) throw error;
      const mayHaveWrittenFirst = mayHaveWritten;
      await pause(clock, retryDelayMs, signal);
      try {
        return await once();
      } catch (second) {
        mayHaveWritten ||= mayHaveWrittenFirst;
        // That nobody is there any more says less than that the first attempt was cut off.
        throw isConnectionLost(error) && isUnavailable(second) && !isConnectionLost(second) ? error : second;
      }
    }
  };
  return {
    admin,
    evaluation: createClient(EvaluationService, transport),
    address: options.address,
    get mayHaveWritten() {
      return mayHaveWritten;
    },
    call,
    async reach() {
      try {
        await call((callOptions) => admin.listEnvironments({}, callOptions));
      } catch (error) {
        const late = error instanceof ConnectError && error.code === Code.DeadlineExceeded;
        throw late ? new ConnectError("no answer in time", Code.Unavailable) : error;
      }
    },
    close() {
      // After a protocol error the session destroys itself, and aborting it meanwhile would take its error handler away,
      // which ends the process (connect-node 2.1.2). It is not referenced by the event loop, so leaving it is safe.
      if (!broken) sessions.abort();
    },
  };
}

/** Whether the call failed because there was nobody to answer it, or the server was ending the connection. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  return error.code === Code.Unavailable || /NGHTTP2_REFUSED_STREAM/.test(error.rawMessage);
}

/** Whether the connection ended before the answer did. Whatever the call was to do may have been done. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof ConnectError) || isNotGrpc(error) || error.details.length > 0) return false;
  return lostCodes.test(causeCode(error)) || lostMessages.test(error.rawMessage);
}

const lostCodes = /^(ECONNRESET|EPIPE|ERR_STREAM_\w+|ERR_HTTP2_\w+)$/;
const lostMessages =
  /^http\/2 (stream|connection) closed|NGHTTP2_|ECONNRESET|^protocol error: missing (status|output message)/;

function causeCode(error: ConnectError): string {
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

/** Whether nobody that this program trusts has signed the server's certificate. */
export function isUntrusted(error: unknown): boolean {
  return error instanceof ConnectError && /^(DEPTH_ZERO_)?SELF_SIGNED_CERT|^UNABLE_TO_/.test(causeCode(error));
}

/** Whether what answered an https address does not speak TLS. */
export function isClearText(error: unknown): boolean {
  return error instanceof ConnectError && causeCode(error) === "ERR_SSL_WRONG_VERSION_NUMBER";
}

/** Whether what answered does not speak HTTP/2 at all. */
export function isNotGrpc(error: unknown): boolean {
  return error instanceof ConnectError && causeCode(error) === "ERR_HTTP2_ERROR";
}

/** Waits, or less if `signal` aborts. Holds the process meanwhile, which the clock's timers alone would not. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const hold = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(hold);
      stop();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const stop = clock.after(delayMs, end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

function withHeaders(options: RemoteOptions): Interceptor {
  return (next) => (request) => {
    request.header.set("flagwire-author", headerText(options.author));
    if (options.token !== undefined) request.header.set("authorization", `Bearer ${options.token}`);
    return next(request);
  };
}

/** Tells of each call whether it may change something: a dry run does not, nor does a stream that nothing was sent on. */
function createWriteTracker(tell: (writes: boolean) => void): Interceptor {
  return (next) => (request) => {
    tell(false);
    if (isRead(request.method)) return next(request);
    if (!request.stream) {
      tell(!isDryRun(request.message));
      return next(request);
    }
    return next({ ...request, message: tellOfFirst(request.message, tell) });
  };
}

async function* tellOfFirst<T extends object>(messages: AsyncIterable<T>, tell: (writes: boolean) => void) {
  let first = true;
  for await (const message of messages) {
    if (first) tell(!isDryRun(message));
    first = false;
    yield message;
  }
}

function isRead(method: DescMethod): boolean {
  return (
    method.methodKind === "server_streaming" || method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
  );
}

function isDryRun(message: object): boolean {
  return "dryRun" in message && message.dryRun === true;
}

/** Header values are printable ASCII. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").trim();
}
