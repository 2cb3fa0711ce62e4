import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ImportRequestSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { SegmentKeysSchema, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { cutSegment } from "../../watch/index.js";

/** Below 1 MiB with room for the message around the items. */
const defaultPartSizeBytes = 960 * 1024;

export interface FilePart {
  readonly file: FlagFile;
  /** How many items are in this part and those before it. */
  readonly itemsSoFar: number;
}

/**
 * Cuts a file into parts of at most `partSizeBytes` encoded; an item stands in one part, whole, so one that is larger has
 * a part to itself, but a segment is cut, and so counts for several items. There is at least one part.
 */
export function* toFileParts(file: FlagFile, partSizeBytes = defaultPartSizeBytes): Generator<FilePart> {
  let part = create(FlagFileSchema);
  let sizeBytes = 0;
  let items = 0;
  for (const [itemSizeBytes, add] of toItems(file, partSizeBytes)) {
    if (sizeBytes > 0 && sizeBytes + itemSizeBytes > partSizeBytes) {
      yield { file: part, itemsSoFar: items };
      part = create(FlagFileSchema);
      sizeBytes = 0;
    }
    add(part);
    sizeBytes += itemSizeBytes;
    items += 1;
  }
  yield { file: part, itemsSoFar: items };
}

/** The messages of an Import call. Only the first one's settings count; the parts follow in order. */
export async function* toImportRequests(
  parts: readonly FilePart[],
  settings: Omit<MessageInitShape<typeof ImportRequestSchema>, "file" | "$typeName">,
  sent: (items: number) => void,
): AsyncGenerator<MessageInitShape<typeof ImportRequestSchema>> {
  let first = true;
  const itemCount = parts.at(-1)?.itemsSoFar ?? 0;
  for (const part of parts) {
    yield { ...(first ? { ...settings, itemCount } : {}), file: part.file };
    sent(part.itemsSoFar);
    first = false;
  }
}

type Item = readonly [sizeBytes: number, add: (part: FlagFile) => void];

function* toItems(file: FlagFile, partSizeBytes: number): Generator<Item> {
  for (const one of file.environments)
    yield [encodedSize(EnvironmentSchema, one), (part) => part.environments.push(one)];
  for (const one of file.segments) {
    const { segment, more } = cutSegment(one, partSizeBytes - itemOverheadBytes);
    yield [encodedSize(SegmentSchema, segment), (part) => part.segments.push(segment)];
    for (const keys of more) yield [encodedSize(SegmentKeysSchema, keys), (part) => part.segmentKeys.push(keys)];
  }
  for (const one of file.flags) yield [encodedSize(FlagSchema, one), (part) => part.flags.push(one)];
  for (const one of file.targetings) yield [encodedSize(TargetingSchema, one), (part) => part.targetings.push(one)];
}

/** The tag and the length that a list adds to each item. */
const itemOverheadBytes = 6;

function encodedSize<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): number {
  return toBinary(desc, message).length + itemOverheadBytes;
}
