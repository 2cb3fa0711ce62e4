import { type Code, ConnectError } from "@connectrpc/connect";
import type { Refusal } from "../refusal.js";
import { toStatusDetails, toStatusMessage, toStatusNumber } from "../status.js";

/** A refusal as the error that Connect and gRPC-Web send. Connect's codes are gRPC's numbers. */
export function toConnectError(refusal: Refusal): ConnectError {
  const code = toStatusNumber(refusal.code) as Code;
  return new ConnectError(toStatusMessage(refusal), code, undefined, toStatusDetails(refusal));
}
