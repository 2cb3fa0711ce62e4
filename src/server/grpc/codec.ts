import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { toFrame } from "../../base/index.js";
import type { BoundMethod } from "../bound-method.js";
import { type Encoded, isEncoded } from "../handlers.js";
import type { OrRefusal, Refusal } from "../refusal.js";
import type { NamedCall } from "../request-id.js";
import { refusalOfThrown, undecodable } from "../status.js";

/**
 * Bytes that are not a message of the expected type. A value, because grpc-js answers INTERNAL to whatever its
 * deserializer throws, and the client is to blame here.
 */
export class Undecodable {
  constructor(readonly refusal: Refusal) {}
}

export type Decoded = Message | Undecodable;
export type GrpcMethod = MethodDefinition<Decoded, Buffer>;

/** grpc-js's definition of a method. Answers are encoded by `encodeAnswer`, before grpc-js sees them. */
export function toGrpcMethod({ method, name, kind }: BoundMethod): GrpcMethod {
  return {
    path: `/${name}`,
    requestStream: kind === "client_streaming" || kind === "bidi_streaming",
    responseStream: kind === "server_streaming" || kind === "bidi_streaming",
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes) => decode(method.input, bytes),
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

const identity = (bytes: Buffer): Buffer => bytes;

export function decode(schema: DescMessage, bytes: Uint8Array): Decoded {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    return new Undecodable(undecodable(schema, cause));
  }
}

/**
 * The binary form of an answer; of one that is encoded already, those bytes: grpc-js copies, so they may be shared.
 * INTERNAL, and a line in the log, for what is no message of its type.
 */
export function encodeAnswer(
  bound: BoundMethod,
  answer: Message | Encoded<Message>,
  log: Logger,
  call: NamedCall,
): OrRefusal<Buffer> {
  try {
    const bytes = toBytes(bound, answer);
    // grpc-js calls Buffer's own copy().
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (thrown) {
    return refusalOfThrown(thrown, bound.name, log, call);
  }
}

/** The same in a frame. It may be shared, so it is for reading only. */
export function encodeFrame(
  bound: BoundMethod,
  answer: Message | Encoded<Message>,
  log: Logger,
  call: NamedCall,
): OrRefusal<Buffer> {
  try {
    const kept = isEncoded(answer) ? answer.frame : undefined;
    return kept ?? toFrame(toBytes(bound, answer));
  } catch (thrown) {
    return refusalOfThrown(thrown, bound.name, log, call);
  }
}

function toBytes({ method }: BoundMethod, answer: Message | Encoded<Message>): Uint8Array {
  return isEncoded(answer) ? answer.bytes : toBinary(method.output, answer);
}
