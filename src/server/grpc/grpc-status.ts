import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import type { Refusal } from "../refusal.js";
import { toStatusDetails, toStatusNumber } from "../status.js";

const DETAILS_KEY = "grpc-status-details-bin";

// Trailers travel as one header block, and clients refuse blocks above 8 KiB (gRPC's default). Base64 makes the
// details a third larger, and percent-encoding makes the message up to three times as large.
const MAX_DETAILS_BYTES = 4_608;
const MAX_MESSAGE_BYTES = 1_024;

/** A refusal as the status that grpc-js sends. Violations that do not fit are counted in the ErrorInfo. */
export function toGrpcStatus(refusal: Refusal): StatusObject {
  const code = toStatusNumber(refusal.code);
  const message = clip(refusal.message);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, encodeDetails(refusal, code, message));
  return { code, details: message, metadata };
}

function encodeDetails(refusal: Refusal, code: number, message: string): Buffer {
  let kept = refusal.details.violations?.length ?? 0;
  for (;;) {
    const details = toStatusDetails(refusal, kept).map(({ desc, value }) => anyPack(desc, value));
    const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
    if (bytes.byteLength <= MAX_DETAILS_BYTES || kept === 0) return Buffer.from(bytes);
    kept = Math.min(kept - 1, Math.floor((kept * MAX_DETAILS_BYTES) / bytes.byteLength));
  }
}

/** At most so many bytes of text, and no half surrogates: grpc-js throws where it cannot percent-encode a message. */
function clip(message: string): string {
  const bytes = Buffer.from(message, "utf8");
  if (bytes.byteLength <= MAX_MESSAGE_BYTES) return bytes.toString("utf8");
  return `${bytes.subarray(0, MAX_MESSAGE_BYTES - 4).toString("utf8")}…`;
}
