import { create, toBinary } from "@bufbuild/protobuf";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { invariant } from "../base/index.js";
import type { Tally } from "./counts.js";

/** Names one flag or segment within an environment, such as `flag/new-checkout`. */
export type WatchItemId = string;

const FLAG_PREFIX = "flag/";
const SEGMENT_PREFIX = "segment/";

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
    case undefined:
      throw new Error("invariant violated: a watch item without a kind was published");
  }
}

/** Whether the item says that something is gone. */
export function isDeletion({ kind }: WatchItem): boolean {
  return kind.case === "deletedFlagKey" || kind.case === "deletedSegmentKey";
}

/** The item that says that `id` is gone. */
export function deletionOf(id: WatchItemId): WatchItem {
  if (id.startsWith(FLAG_PREFIX)) {
    return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: id.slice(FLAG_PREFIX.length) } });
  }
  invariant(id.startsWith(SEGMENT_PREFIX), `not the id of a watch item: ${id}`);
  return create(WatchItemSchema, { kind: { case: "deletedSegmentKey", value: id.slice(SEGMENT_PREFIX.length) } });
}

/** An item that is encoded when first sent and never again, whichever and however many messages it travels in. */
export class EncodedItem {
  #bytes: Uint8Array | undefined;

  constructor(
    readonly item: WatchItem,
    readonly tally: Tally,
  ) {}

  get bytes(): Uint8Array {
    if (this.#bytes === undefined) {
      this.#bytes = toBinary(WatchItemSchema, this.item);
      this.tally.itemEncodings++;
    }
    return this.#bytes;
  }
}
