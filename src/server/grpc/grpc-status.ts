import type { OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import type { Refusal, RefusalCode } from "../refusal.js";
import { type NamedCall, REQUEST_ID_HEADER, requestIdOf } from "../request-id.js";
import { type DetailBounds, toStatusDetails, toStatusMessage, toStatusNumber } from "../status.js";

const DETAILS_KEY = "grpc-status-details-bin";

/** By it a client is told not to try again by itself (gRPC's A6): flagd's provider for Java does so for seconds, whatever the code. */
const NO_RETRY = { "grpc-retry-pushback-ms": "-1" };
/** What the same call would be answered the next time too. */
const FINAL: ReadonlySet<RefusalCode> = new Set([
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "FAILED_PRECONDITION",
  "UNIMPLEMENTED",
  "DATA_LOSS",
  "UNAUTHENTICATED",
]);

// Trailers travel as one header block, and clients refuse blocks above 8 KiB (gRPC's default): the call would fail
// without its status, or never end. Some of it is for the other headers.
const MAX_BLOCK_BYTES = 7_168;

/** A refusal as the status that grpc-js sends. Violations that do not fit are counted in the ErrorInfo. */
export function toGrpcStatus(refusal: Refusal, call: NamedCall): StatusObject {
  const code = toStatusNumber(refusal.code);
  const message = toStatusMessage(refusal);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, encodeDetails(refusal, code, message));
  metadata.set(REQUEST_ID_HEADER, requestIdOf(call));
  for (const [name, value] of Object.entries(retryHeaders(refusal))) metadata.set(name, value);
  return { code, details: message, metadata };
}

/** A refusal as the headers of an answer that has nothing else. */
export function toStatusHeaders(refusal: Refusal): OutgoingHttpHeaders {
  const code = toStatusNumber(refusal.code);
  const message = toStatusMessage(refusal);
  return {
    "grpc-status": String(code),
    "grpc-message": encodeURI(message),
    [DETAILS_KEY]: encodeDetails(refusal, code, message).toString("base64"),
    ...retryHeaders(refusal),
  };
}

function retryHeaders({ code }: Refusal): Readonly<Record<string, string>> {
  return FINAL.has(code) ? NO_RETRY : {};
}

function encodeDetails(refusal: Refusal, code: number, message: string): Buffer {
  const encode = (bounds: DetailBounds): Buffer => {
    const details = toStatusDetails(refusal, bounds).map(({ desc, value }) => anyPack(desc, value));
    return Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, message, details })));
  };
  // The message is percent-encoded beside the details; base64 makes these a third larger.
  const maxBytes = Math.floor(((MAX_BLOCK_BYTES - encodeURI(message).length) * 3) / 4);
  let kept = refusal.details.violations?.length ?? 0;
  for (;;) {
    const bytes = encode({ maxViolations: kept });
    if (bytes.byteLength <= maxBytes) return bytes;
    if (kept === 0) return encode({ maxViolations: 0, withMetadata: false });
    kept = Math.min(kept - 1, Math.floor((kept * maxBytes) / bytes.byteLength));
  }
}
