import { fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type FetchAllFlagsResponse,
  FetchAllFlagsResponseSchema,
  type SyncFlagsResponse,
  SyncFlagsResponseSchema,
} from "../../../gen/flagd/sync/v1/sync_pb.js";
import { FRAME_PREFIX_BYTES, joinFrame } from "../../base/index.js";
import type { Encoded } from "../handlers.js";

const CONFIGURATION_NUMBER = SyncFlagsResponseSchema.field.flagConfiguration.number;
const START = Buffer.from('{"flags":{');
const END = Buffer.from("}}");

/** What streams of one environment are sent, encoded once for all of them: a flag definition file. */
export class SyncPayload implements Encoded<SyncFlagsResponse> {
  readonly kind = "ready";
  readonly frame: Buffer;

  private constructor(frame: Buffer) {
    this.frame = frame;
  }

  /** Of members of `flags`, each with a comma before it. */
  static of(members: readonly Uint8Array[]): SyncPayload {
    const [first, ...others] = members;
    const parts = first === undefined ? [START, END] : [START, first.subarray(1), ...others, END];
    let textBytes = 0;
    for (const part of parts) textBytes += part.byteLength;
    const header = new BinaryWriter().tag(CONFIGURATION_NUMBER, WireType.LengthDelimited).uint32(textBytes).finish();
    return new SyncPayload(joinFrame([header, ...parts]));
  }

  get sizeBytes(): number {
    return this.frame.byteLength - FRAME_PREFIX_BYTES;
  }

  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }

  get message(): SyncFlagsResponse {
    return fromBinary(SyncFlagsResponseSchema, this.bytes);
  }

  /** The same file as the answer of FetchAllFlags: the two are alike on the wire. */
  get fetched(): Encoded<FetchAllFlagsResponse> {
    const { frame, bytes } = this;
    return {
      frame,
      bytes,
      get message() {
        return fromBinary(FetchAllFlagsResponseSchema, bytes);
      },
    };
  }
}
