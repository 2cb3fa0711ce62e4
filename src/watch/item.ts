import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  EnvironmentStateSchema,
  type WatchItem,
  WatchItemSchema,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { FRAME_PREFIX_BYTES, invariant, joinFrame } from "../base/index.js";
import type { Tally } from "./counts.js";
import { cutSegment } from "./cut-segment.js";

/** Names one flag or segment within an environment, such as `flag/new-checkout`, or what else there is to know of it. */
export type WatchItemId = string;

const FLAG_PREFIX = "flag/";
const SEGMENT_PREFIX = "segment/";

/** It has an item only where there is something in it, or was. */
export const ENVIRONMENT_ITEM_ID: WatchItemId = "environment";
export const flagItemId = (key: string): WatchItemId => FLAG_PREFIX + key;
export const segmentItemId = (key: string): WatchItemId => SEGMENT_PREFIX + key;

/** What an item is about, whether it is there or deleted. */
export function watchItemId({ kind }: WatchItem): WatchItemId {
  switch (kind.case) {
    case "flag":
      return flagItemId(kind.value.flag?.key ?? "");
    case "segment":
      return segmentItemId(kind.value.key);
    case "deletedFlagKey":
      return flagItemId(kind.value);
    case "deletedSegmentKey":
      return segmentItemId(kind.value);
    case "environment":
      return ENVIRONMENT_ITEM_ID;
    case "segmentKeys":
      throw new Error("invariant violated: a part of a segment was published");
    case undefined:
      throw new Error("invariant violated: a watch item without a kind was published");
  }
}

/** Whether the item says that something is gone. */
export function isDeletion({ kind }: WatchItem): boolean {
  switch (kind.case) {
    case "deletedFlagKey":
    case "deletedSegmentKey":
      return true;
    case "environment":
      return kind.value.privateAttributes.length === 0;
    default:
      return false;
  }
}

/** The item that says that `id` is gone. */
export function deletionOf(id: WatchItemId): WatchItem {
  if (id === ENVIRONMENT_ITEM_ID) {
    return create(WatchItemSchema, { kind: { case: "environment", value: create(EnvironmentStateSchema) } });
  }
  if (id.startsWith(FLAG_PREFIX)) {
    return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: id.slice(FLAG_PREFIX.length) } });
  }
  invariant(id.startsWith(SEGMENT_PREFIX), `not the id of a watch item: ${id}`);
  return create(WatchItemSchema, { kind: { case: "deletedSegmentKey", value: id.slice(SEGMENT_PREFIX.length) } });
}

/** The state of a flag or segment, or its end. Cut when first sent, and never again. */
export class ItemState {
  #parts: readonly EncodedItem[] | undefined;

  constructor(
    readonly item: WatchItem,
    readonly maxMessageBytes: number,
    readonly tally: Tally,
  ) {}

  /** The items that it travels as: one, but for a large segment. */
  get parts(): readonly EncodedItem[] {
    this.#parts ??= this.#cut();
    return this.#parts;
  }

  #cut(): readonly EncodedItem[] {
    const { kind } = this.item;
    // Without counts nobody would notice that a part is missing.
    const mayBeCut = kind.case === "segment" && kind.value.includedCount + kind.value.excludedCount > 0;
    if (!mayBeCut) return [new EncodedItem(this.item, this.tally)];
    const { segment, more } = cutSegment(kind.value, this.maxMessageBytes - PART_OVERHEAD_BYTES);
    if (more.length === 0) return [new EncodedItem(this.item, this.tally)];
    const kinds = [
      { case: "segment" as const, value: segment },
      ...more.map((value) => ({ case: "segmentKeys" as const, value })),
    ];
    return kinds.map((part) => new EncodedItem(create(WatchItemSchema, { kind: part }), this.tally, true));
  }
}

/** The tags and lengths around a part: of the item, and of the segment or keys in it. */
const PART_OVERHEAD_BYTES = 12;
const ITEMS_FIELD = WatchResponseSchema.field.items.number;

/** An item that is encoded when first sent and never again, whichever and however many messages it travels in. */
export class EncodedItem {
  #frame: Buffer | undefined;

  constructor(
    readonly item: WatchItem,
    readonly tally: Tally,
    /** Whether it is one of several parts of something large. It then has a message to itself, which all updates share. */
    readonly isPart = false,
  ) {}

  /** The bytes that it is in a message: those of a WatchResponse that has this one item only. */
  get field(): Uint8Array {
    return this.frame.subarray(FRAME_PREFIX_BYTES);
  }

  /** A message of this one item, in its frame. */
  get frame(): Buffer {
    if (this.#frame === undefined) {
      const bytes = toBinary(WatchItemSchema, this.item);
      const field = new BinaryWriter().tag(ITEMS_FIELD, WireType.LengthDelimited).bytes(bytes).finish();
      this.#frame = joinFrame([field]);
      this.tally.itemEncodings++;
    }
    return this.#frame;
  }
}
