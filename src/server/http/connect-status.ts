import { type Code, ConnectError } from "@connectrpc/connect";
import type { Refusal } from "../refusal.js";
import { toStatusDetails, toStatusMessage, toStatusNumber } from "../status.js";

/** A refusal as the error that Connect and gRPC-Web send. Connect's codes are gRPC's numbers. */
export function toConnectError(refusal: Refusal): ConnectError {
  const code = toStatusNumber(refusal.code) as Code;
  const { retryAfterMs } = refusal.details;
  const headers = retryAfterMs === undefined ? undefined : { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) };
  return new ConnectError(toStatusMessage(refusal), code, headers, toStatusDetails(refusal));
}
