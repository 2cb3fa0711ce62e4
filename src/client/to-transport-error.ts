import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type TransportCode, TransportError } from "./transport.js";

/** Connect's errors in our words. Everything that fails ends here. */
export function toTransportError(thrown: unknown): TransportError {
  if (thrown instanceof TransportError) return thrown;
  const error = ConnectError.from(thrown, Code.Internal);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  return new TransportError(codeOf(error), messageOf(error), reason, { cause: thrown });
}

/** OpenSSL's own line says nothing to people. */
function messageOf(error: ConnectError): string {
  const isClearText = causeCode(error) === "ERR_SSL_WRONG_VERSION_NUMBER";
  return isClearText ? "what listens there does not speak TLS: name it without https://" : error.rawMessage;
}

/**
 * What it came to that all ways of polling failed. Every front understands HTTP/1.1: where one refuses that, it is a refusal
 * like the server's own. Otherwise the error of the way that was tried first counts.
 */
export function toPollError(first: unknown, byHttp1: unknown): TransportError {
  const error = ConnectError.from(byHttp1, Code.Internal);
  if (!isRefusedInFront(error)) return toTransportError(first);
  return new TransportError(CODES[error.code], error.rawMessage, undefined, { cause: byHttp1 });
}

function codeOf(error: ConnectError): TransportCode {
  if (error.details.length > 0) return CODES[error.code];
  if (error.rawMessage === "HTTP 413") return "RESOURCE_EXHAUSTED";
  return isBroken(error) || isRefusedInFront(error) ? "UNAVAILABLE" : CODES[error.code];
}

/** Our servers refuse by a status of gRPC or Connect; this is somebody else's, who may only dislike the protocol. */
function isRefusedInFront({ details, rawMessage }: ConnectError): boolean {
  return details.length === 0 && /^HTTP 40[13]$/.test(rawMessage);
}

/**
 * Whether the connection broke, or what answered does not speak the protocol at all, which connect-node 2.1.2 calls anything
 * from INTERNAL to INVALID_ARGUMENT. No message came by it that could be wrong, nor did a server refuse anything.
 */
function isBroken(error: ConnectError): boolean {
  return BROKEN_MESSAGES.test(error.rawMessage) || BROKEN_CODES.test(causeCode(error));
}

const BROKEN_MESSAGES =
  /^protocol error: (incomplete envelope|promised \d+ bytes|missing (EndStreamResponse|status|output message))|^http\/2 (stream|connection) closed|^HTTP 400$/;
const BROKEN_CODES =
  /^(ECONN|EPIPE|EHOST|ENET|ETIMEDOUT|HPE_|ERR_HTTP2_|ERR_STREAM_|ERR_SSL_|ERR_TLS_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

function causeCode({ cause }: ConnectError): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
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
