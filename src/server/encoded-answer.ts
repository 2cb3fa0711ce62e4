import { create, fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type BulkEvaluateResponse,
  BulkEvaluateResponseSchema,
  type EvaluateResponse,
  EvaluateResponseSchema,
  EvaluationErrorSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { createFrame, FRAME_PREFIX_BYTES, toFrame } from "../base/index.js";
import type { Outcome } from "../engine/index.js";
import type { Encoded } from "./handlers.js";

/** One answer, alone or in a BulkEvaluateResponse. */
export interface EncodedAnswer extends Encoded<EvaluateResponse> {
  /** Of `bytes`. */
  readonly sizeBytes: number;
  readonly frame: Buffer;
}

/** An answer that is made for one call. */
export class EncodedResponse implements EncodedAnswer {
  readonly frame: Buffer;

  constructor(readonly message: EvaluateResponse) {
    this.frame = toFrame(toBinary(EvaluateResponseSchema, message));
  }

  get sizeBytes(): number {
    return this.frame.byteLength - FRAME_PREFIX_BYTES;
  }

  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }
}

const REVISION_NUMBER = EvaluateResponseSchema.field.revision.number;
const BULK_REVISION_NUMBER = BulkEvaluateResponseSchema.field.revision.number;
/** On the wire: a field's number with its type, in one byte. */
const BULK_EVALUATION_TAG = BulkEvaluateResponseSchema.field.evaluations.number * 8 + WireType.LengthDelimited;
const TAG_BYTES = 1;

/**
 * An outcome as the answer that it is at one revision. Where it is kept, an outcome is encoded once: at another revision only
 * that number is another. It comes last, which to protobuf is as good as in the order of the fields.
 */
export class OutcomeAnswer implements EncodedAnswer {
  readonly frame: Buffer;
  readonly #outcome: Outcome;
  /** The bytes before the revision. */
  readonly #outcomeBytes: number;
  #message: EvaluateResponse | undefined;

  private constructor(
    outcome: Outcome,
    encoded: Uint8Array,
    readonly revision: bigint,
  ) {
    this.#outcome = outcome;
    this.#outcomeBytes = encoded.byteLength;
    const revisionField = encodeRevision(REVISION_NUMBER, revision);
    this.frame = createFrame(encoded.byteLength + revisionField.byteLength);
    this.frame.set(encoded, FRAME_PREFIX_BYTES);
    this.frame.set(revisionField, FRAME_PREFIX_BYTES + encoded.byteLength);
  }

  static of(outcome: Outcome, revision: bigint): OutcomeAnswer {
    const encoded = toBinary(EvaluateResponseSchema, toResponse(outcome, 0n));
    return new OutcomeAnswer(outcome, encoded, revision);
  }

  at(revision: bigint): OutcomeAnswer {
    return new OutcomeAnswer(this.#outcome, this.bytes.subarray(0, this.#outcomeBytes), revision);
  }

  get message(): EvaluateResponse {
    this.#message ??= toResponse(this.#outcome, this.revision);
    return this.#message;
  }

  get sizeBytes(): number {
    return this.frame.byteLength - FRAME_PREFIX_BYTES;
  }

  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }
}

/** The answer of BulkEvaluate: the answers to each flag, joined as they are. */
export class BulkAnswer implements Encoded<BulkEvaluateResponse> {
  readonly #parts: readonly EncodedAnswer[];
  readonly #revision: bigint;

  constructor(parts: readonly EncodedAnswer[], revision: bigint) {
    this.#parts = parts;
    this.#revision = revision;
  }

  get message(): BulkEvaluateResponse {
    const evaluations = this.#parts.map(({ message }) => message);
    return create(BulkEvaluateResponseSchema, { evaluations, revision: this.#revision });
  }

  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }

  get frame(): Buffer {
    const revisionField = encodeRevision(BULK_REVISION_NUMBER, this.#revision);
    let size = revisionField.byteLength;
    for (const { sizeBytes } of this.#parts) size += TAG_BYTES + varintBytes(sizeBytes) + sizeBytes;
    const frame = createFrame(size);
    let at = FRAME_PREFIX_BYTES;
    for (const part of this.#parts) {
      frame[at] = BULK_EVALUATION_TAG;
      at = writeVarint(part.sizeBytes, frame, at + TAG_BYTES);
      at += part.frame.copy(frame, at, FRAME_PREFIX_BYTES);
    }
    frame.set(revisionField, at);
    return frame;
  }
}

function encodeRevision(field: number, revision: bigint): Uint8Array {
  return new BinaryWriter().tag(field, WireType.Varint).uint64(revision).finish();
}

/** An outcome as the message that answers with it. */
export function toResponse(outcome: Outcome, revision: bigint): EvaluateResponse {
  return create(EvaluateResponseSchema, {
    flagKey: outcome.flagKey,
    variant: outcome.variant ?? "",
    reason: outcome.reason,
    ruleId: outcome.ruleId ?? "",
    prerequisiteKey: outcome.prerequisiteKey ?? "",
    revision,
    ...(outcome.value !== undefined && { value: toValue(outcome.value) }),
    ...(outcome.metadata !== undefined && { metadata: outcome.metadata as JsonObject }),
    ...(outcome.errorCode !== undefined && {
      error: create(EvaluationErrorSchema, { code: outcome.errorCode, message: outcome.errorMessage ?? "" }),
    }),
  });
}

function toValue(value: Outcome["value"]): Value {
  return fromJson(ValueSchema, value as JsonValue);
}

/** How many bytes a size takes as a varint. */
function varintBytes(size: number): number {
  let bytes = 1;
  for (let rest = size; rest > 0x7f; rest >>>= 7) bytes += 1;
  return bytes;
}

/** Gives the place after it. */
function writeVarint(size: number, into: Uint8Array, start: number): number {
  let at = start;
  let rest = size;
  for (; rest > 0x7f; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80;
  into[at++] = rest;
  return at;
}
