import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Goodbye,
  type Position,
  type UpdateBegin,
  type UpdateCommit,
  type WatchResponse,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { FRAME_PREFIX_BYTES, joinFrame } from "../base/index.js";
import type { Tally } from "./counts.js";
import type { EncodedItem } from "./item.js";

/**
 * What a frame carries. An update's begin is in its first frame, its commit in its last. A part of something large is with
 * nothing else.
 */
export type FrameContent =
  | {
      readonly kind: "update";
      readonly begin: UpdateBegin | undefined;
      readonly items: readonly EncodedItem[];
      readonly commit: UpdateCommit | undefined;
    }
  | { readonly kind: "heartbeat"; readonly position: Position; readonly digest: string }
  | { readonly kind: "goodbye"; readonly goodbye: Goodbye };

/** Frames above this size are let go of when the head moves on, so that slow watchers of old heads hold little. */
const SMALL_FRAME_BYTES = 65_536;

/**
 * One message of a stream, shared by all watchers that need it. The message and its bytes are made when first asked for,
 * so a transport pays only for the form that it uses. Neither may be modified.
 */
export class Frame {
  #message: WatchResponse | undefined;
  #frame: Buffer | undefined;
  /** Of a large one that is not of the newest head: there as long as somebody is being sent it, for others in the same place. */
  #released: WeakRef<Buffer> | undefined;
  #isReleased = false;

  constructor(
    readonly content: FrameContent,
    readonly tally: Tally,
  ) {}

  get message(): WatchResponse {
    this.#message ??= toMessage(this.content);
    return this.#message;
  }

  /** The message in protobuf's binary form. */
  get bytes(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }

  /** The same with gRPC's prefix before it. */
  get frame(): Buffer {
    const kept = this.#frame ?? this.#released?.deref();
    if (kept !== undefined) return kept;
    const part = partOf(this.content);
    // Kept there, and shared by all frames of it: there may be as many as there are updates that carry it.
    if (part !== undefined) return part.frame;
    const frame = encode(this.content);
    this.tally.frameEncodings++;
    this.#keep(frame);
    return frame;
  }

  /** Called when this is no longer the newest. */
  release(): void {
    this.#isReleased = true;
    const frame = this.#frame;
    this.#frame = undefined;
    if (frame !== undefined) this.#keep(frame);
  }

  #keep(frame: Buffer): void {
    if (this.#isReleased && frame.length > SMALL_FRAME_BYTES) this.#released = new WeakRef(frame);
    else this.#frame = frame;
  }
}

function toMessage(content: FrameContent): WatchResponse {
  switch (content.kind) {
    case "update":
      return create(WatchResponseSchema, {
        begin: content.begin,
        items: content.items.map((encoded) => encoded.item),
        commit: content.commit,
      });
    case "heartbeat":
      return create(WatchResponseSchema, { heartbeat: { position: content.position, digest: content.digest } });
    case "goodbye":
      return create(WatchResponseSchema, { goodbye: content.goodbye });
  }
}

/** The part of something large that the frame consists of. */
function partOf(content: FrameContent): EncodedItem | undefined {
  if (content.kind !== "update") return undefined;
  const [item] = content.items;
  return item?.isPart ? item : undefined;
}

/** A message's fields may be written one after the other, so encoded items are copied and never encoded again. */
function encode(content: FrameContent): Buffer {
  if (content.kind !== "update") return joinFrame([toBinary(WatchResponseSchema, toMessage(content))]);
  const { begin, items, commit } = content;
  return joinFrame([
    toBinary(WatchResponseSchema, create(WatchResponseSchema, { begin })),
    ...items.map(({ field }) => field),
    toBinary(WatchResponseSchema, create(WatchResponseSchema, { commit })),
  ]);
}
