import { create, toBinary } from "@bufbuild/protobuf";
import {
  type UpdateBegin,
  UpdateBeginSchema,
  type UpdateCommit,
  UpdateCommitSchema,
  type UpdateKind,
} from "../../gen/flagwire/v1/watch_pb.js";
import type { Tally } from "./counts.js";
import { Frame } from "./frame.js";
import type { EncodedItem } from "./item.js";

/** A field number below 16 takes one byte, a length at most five. */
const MAX_FIELD_OVERHEAD_BYTES = 6;

/**
 * The frames of one update, each at most `maxMessageBytes` when encoded, except where one item alone is larger: that one
 * travels with no other. So does each part of a segment that was cut, without begin and commit: it is encoded only when its
 * turn comes, so that others are answered meanwhile, and once for all updates.
 */
export function updateFrames(
  kind: UpdateKind,
  items: readonly EncodedItem[],
  commit: UpdateCommit,
  maxMessageBytes: number,
  tally: Tally,
): Frame[] {
  const begin = create(UpdateBeginSchema, { kind });
  const chunks = splitItems(items, maxMessageBytes - envelopeBytes(begin, commit));
  const last = chunks.length - 1;
  return chunks.map((chunk, index) => {
    const content = {
      kind: "update",
      begin: index === 0 ? begin : undefined,
      items: chunk,
      commit: index === last ? commit : undefined,
    } as const;
    return new Frame(content, tally);
  });
}

/** Room for begin and commit, kept free in every message: simpler, and a few bytes of a mebibyte. */
function envelopeBytes(begin: UpdateBegin, commit: UpdateCommit): number {
  const beginBytes = toBinary(UpdateBeginSchema, begin).length;
  const commitBytes = toBinary(UpdateCommitSchema, commit).length;
  return beginBytes + commitBytes + 2 * MAX_FIELD_OVERHEAD_BYTES;
}

/** At least one chunk. The first and the last may be empty, and hold no part. */
function splitItems(items: readonly EncodedItem[], roomBytes: number): EncodedItem[][] {
  let chunk: EncodedItem[] = [];
  let chunkBytes = 0;
  const chunks = [chunk];
  const parts: EncodedItem[][] = [];
  for (const item of items) {
    if (item.isPart) {
      parts.push([item]);
      continue;
    }
    const itemBytes = item.field.length;
    if (chunk.length > 0 && chunkBytes + itemBytes > roomBytes) {
      chunk = [];
      chunkBytes = 0;
      chunks.push(chunk);
    }
    chunk.push(item);
    chunkBytes += itemBytes;
  }
  return parts.length === 0 ? chunks : [...chunks, ...parts, []];
}
