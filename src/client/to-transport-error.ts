import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type TransportCode, TransportError } from "./transport.js";

/** Connect's errors in our words. Everything that fails ends here. */
export function toTransportError(thrown: unknown): TransportError {
  const error = ConnectError.from(thrown, Code.Internal);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  const code = isBroken(error) ? "UNAVAILABLE" : CODES[error.code];
  return new TransportError(code, error.rawMessage, reason, { cause: thrown });
}

/**
 * Whether the connection broke, or what answered does not speak the protocol at all, which connect-node 2.1.2 calls anything
 * from INTERNAL to INVALID_ARGUMENT. No message came by it that could be wrong, nor did a server refuse anything.
 */
function isBroken(error: ConnectError): boolean {
  if (error.details.length > 0) return false;
  return BROKEN_MESSAGES.test(error.rawMessage) || BROKEN_CODES.test(causeCode(error));
}

const BROKEN_MESSAGES =
  /^protocol error: (incomplete envelope|promised \d+ bytes|missing (EndStreamResponse|status|output message))|^http\/2 (stream|connection) closed/;
const BROKEN_CODES = /^(ECONN|EPIPE|EHOST|ENET|ETIMEDOUT|HPE_|ERR_HTTP2_|ERR_STREAM_|ERR_SSL_)/;

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
