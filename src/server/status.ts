import { create, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type FieldViolation, isRefusal, Refusal, type RefusalCode } from "./refusal.js";
import { type NamedCall, requestIdOf } from "./request-id.js";

/** The numbers of gRPC's status codes, which Connect shares. */
const STATUS_NUMBERS: Readonly<Record<RefusalCode, number>> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
};

const ERROR_DOMAIN = "flagwire";

export function toStatusNumber(code: RefusalCode): number {
  return STATUS_NUMBERS[code];
}

/** A google.rpc detail with its schema. */
export interface StatusDetail {
  readonly desc: DescMessage;
  readonly value: Message;
}

// A refusal echoes what the client sent, which may be megabytes. What is cut is of no use to anybody: keys and names that
// can exist are shorter.
const MAX_MESSAGE_BYTES = 1_024;
const MAX_METADATA_BYTES = 256;
const MAX_FIELD_BYTES = 1_024;
const ELLIPSIS_BYTES = 3;

/** The message of a refusal, as it is sent: at most 1,024 bytes of well-formed text. */
export function toStatusMessage(refusal: Refusal): string {
  return clip(refusal.message, MAX_MESSAGE_BYTES);
}

/** What of a refusal's details to leave out where they must fit a header block. */
export interface DetailBounds {
  /** Default: unlimited. Those left out are counted in the ErrorInfo. */
  readonly maxViolations?: number;
  /** Default: true. */
  readonly withMetadata?: boolean;
}

/** The google.rpc details of a refusal, with every text in them at a bounded length. */
export function toStatusDetails(refusal: Refusal, bounds: DetailBounds = {}): StatusDetail[] {
  const { violations = [], metadata = {}, retryAfterMs } = refusal.details;
  const { maxViolations = Number.POSITIVE_INFINITY, withMetadata = true } = bounds;
  const named = violations.length > maxViolations ? violations.slice(0, maxViolations) : violations;
  const omitted = violations.length - named.length;
  const info = create(ErrorInfoSchema, { reason: refusal.reason, domain: ERROR_DOMAIN });
  if (withMetadata) {
    for (const [key, value] of Object.entries(metadata)) info.metadata[key] = clip(value, MAX_METADATA_BYTES);
  }
  if (omitted > 0) info.metadata.omittedViolations = String(omitted);
  const details: StatusDetail[] = [{ desc: ErrorInfoSchema, value: info }];
  if (named.length > 0) details.push({ desc: BadRequestSchema, value: badRequest(named) });
  if (retryAfterMs !== undefined) {
    const retry = create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) });
    details.push({ desc: RetryInfoSchema, value: retry });
  }
  return details;
}

/**
 * At most so many bytes of UTF-8, in whole characters and ending in … if it was cut. Always well formed: gRPC cannot
 * percent-encode half a surrogate pair.
 */
function clip(text: string, maxBytes: number): string {
  // No character takes less than a byte, so the rest need not be encoded.
  const bytes = Buffer.from(text.slice(0, maxBytes + 1), "utf8");
  if (bytes.byteLength <= maxBytes) return bytes.toString("utf8");
  let end = maxBytes - ELLIPSIS_BYTES;
  while (end > 0 && isContinuation(bytes[end])) end -= 1;
  return `${bytes.subarray(0, end).toString("utf8")}…`;
}

/** Whether a byte of UTF-8 goes on with a character. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function badRequest(violations: readonly FieldViolation[]): MessageShape<typeof BadRequestSchema> {
  return create(BadRequestSchema, {
    fieldViolations: violations.map(({ field, description }) => ({
      field: clip(field, MAX_FIELD_BYTES),
      description: clip(description, MAX_FIELD_BYTES),
    })),
  });
}

/**
 * The answer to something thrown. A thrown refusal stands for itself; anything else is logged and answered as
 * INTERNAL without its text, which may hold what is not the client's to know. `call` is whose it is, where that is known.
 */
export function refusalOfThrown(thrown: unknown, method: string, log: Logger, call?: NamedCall): Refusal {
  if (isRefusal(thrown)) return thrown;
  const named = call === undefined ? {} : { requestId: requestIdOf(call) };
  log.error({ err: thrown, method, ...named }, "handler failed");
  return new Refusal("INTERNAL", "INTERNAL", "internal error; the server's log has the cause");
}

export const cancelledByClient = new Refusal("CANCELLED", "CANCELLED", "the client ended the call");

export const deadlineExceeded = new Refusal("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the call took too long");

/** The answer to bytes that are not a message of this type. */
export function undecodable(schema: DescMessage, cause: unknown): Refusal {
  const why = cause instanceof Error ? cause.message : "malformed";
  return new Refusal("INVALID_ARGUMENT", "MALFORMED_MESSAGE", `the request is not a ${schema.typeName}: ${why}`);
}
