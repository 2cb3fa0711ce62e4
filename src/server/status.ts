import { create, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type FieldViolation, isRefusal, Refusal, type RefusalCode } from "./refusal.js";

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

/** The google.rpc details of a refusal. `maxViolations` bounds them where they must fit a header block. */
export function toStatusDetails(refusal: Refusal, maxViolations = Number.POSITIVE_INFINITY): StatusDetail[] {
  const { violations = [], metadata = {}, retryAfterMs } = refusal.details;
  const named = violations.length > maxViolations ? violations.slice(0, maxViolations) : violations;
  const omitted = violations.length - named.length;
  const info = create(ErrorInfoSchema, {
    reason: refusal.reason,
    domain: ERROR_DOMAIN,
    metadata: omitted > 0 ? { ...metadata, omittedViolations: String(omitted) } : metadata,
  });
  const details: StatusDetail[] = [{ desc: ErrorInfoSchema, value: info }];
  if (named.length > 0) details.push({ desc: BadRequestSchema, value: badRequest(named) });
  if (retryAfterMs !== undefined) {
    const retry = create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) });
    details.push({ desc: RetryInfoSchema, value: retry });
  }
  return details;
}

function badRequest(violations: readonly FieldViolation[]): MessageShape<typeof BadRequestSchema> {
  return create(BadRequestSchema, {
    fieldViolations: violations.map(({ field, description }) => ({ field, description })),
  });
}

/**
 * The answer to something thrown. A thrown refusal stands for itself; anything else is logged and answered as
 * INTERNAL without its text, which may hold what is not the client's to know.
 */
export function refusalOfThrown(thrown: unknown, method: string, log: Logger): Refusal {
  if (isRefusal(thrown)) return thrown;
  log.error({ err: thrown, method }, "handler failed");
  return new Refusal("INTERNAL", "INTERNAL", "internal error; the server's log has the cause");
}

export const cancelledByClient = new Refusal("CANCELLED", "CANCELLED", "the client ended the call");

export const deadlineExceeded = new Refusal("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the call took too long");

/** The answer to bytes that are not a message of this type. */
export function undecodable(schema: DescMessage, cause: unknown): Refusal {
  const why = cause instanceof Error ? cause.message : "malformed";
  return new Refusal("INVALID_ARGUMENT", "MALFORMED_MESSAGE", `the request is not a ${schema.typeName}: ${why}`);
}
