import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { FRAME_PREFIX_BYTES, toFrame } from "../../base/index.js";
import type { Encoded } from "../handlers.js";

/** A message that many calls may be answered with, encoded once. */
export class EncodedMessage implements Encoded<Message> {
  readonly frame: Buffer;

  constructor(
    schema: DescMessage,
    readonly message: Message,
  ) {
    this.frame = toFrame(toBinary(schema, message));
  }

  /** Of `bytes`. */
  get sizeBytes(): number {
    return this.frame.byteLength - FRAME_PREFIX_BYTES;
  }

  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }
}
