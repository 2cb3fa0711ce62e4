import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type Goodbye,
  type Position,
  type UpdateBegin,
  type UpdateCommit,
  type WatchResponse,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
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
  | { readonly kind: "heartbeat"; readonly position: Position }
  | { readonly kind: "goodbye"; readonly goodbye: Goodbye };

/** Frames above this size forget their bytes when the head moves on, so that slow watchers of old heads hold little. */
const SMALL_FRAME_BYTES = 65_536;

/**
 * One message of a stream, shared by all watchers that need it. The message and its bytes are made when first asked for,
 * so a transport pays only for the form that it uses. Neither may be modified.
 */
export class Frame {
  #message: WatchResponse | undefined;
  #bytes: Uint8Array | undefined;
  #released = false;

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
    if (this.#bytes !== undefined) return this.#bytes;
    const part = partOf(this.content);
    // Kept there, and shared by all frames of it: there may be as many as there are updates that carry it.
    if (part !== undefined) return part.field;
    const bytes = encode(this.content);
    this.tally.frameEncodings++;
    if (!this.#released || bytes.length <= SMALL_FRAME_BYTES) this.#bytes = bytes;
    return bytes;
  }

  /** Called when this is no longer the newest: a watcher that still needs it puts it together for itself. */
  release(): void {
    this.#released = true;
    if (this.#bytes !== undefined && this.#bytes.length > SMALL_FRAME_BYTES) this.#bytes = undefined;
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
      return create(WatchResponseSchema, { heartbeat: { position: content.position } });
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
function encode(content: FrameContent): Uint8Array {
  if (content.kind !== "update") return toBinary(WatchResponseSchema, toMessage(content));
  const writer = new BinaryWriter();
  writer.raw(toBinary(WatchResponseSchema, create(WatchResponseSchema, { begin: content.begin })));
  for (const item of content.items) writer.raw(item.field);
  writer.raw(toBinary(WatchResponseSchema, create(WatchResponseSchema, { commit: content.commit })));
  return writer.finish();
}
