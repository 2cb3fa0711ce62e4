import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ImportRequestSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";

/** Below 1 MiB with room for the message around the items. */
const defaultPartSizeBytes = 960 * 1024;

export interface FilePart {
  readonly file: FlagFile;
  /** How many items are in this part and those before it. */
  readonly itemsSoFar: number;
}

/**
 * Cuts a file into parts of at most `partSizeBytes` encoded; an item stands in one part, whole, so one that is larger has
 * a part to itself. There is at least one part.
 */
export function* toFileParts(file: FlagFile, partSizeBytes = defaultPartSizeBytes): Generator<FilePart> {
  let part = create(FlagFileSchema);
  let sizeBytes = 0;
  let items = 0;
  for (const [itemSizeBytes, add] of toItems(file)) {
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

export function countItems(file: FlagFile): number {
  return file.environments.length + file.segments.length + file.flags.length + file.targetings.length;
}

/** The messages of an Import call. Only the first one's settings count; the parts follow in order. */
export async function* toImportRequests(
  file: FlagFile,
  settings: Omit<MessageInitShape<typeof ImportRequestSchema>, "file" | "$typeName">,
  sent: (items: number) => void,
): AsyncGenerator<MessageInitShape<typeof ImportRequestSchema>> {
  let first = true;
  for (const part of toFileParts(file)) {
    yield { ...(first ? { ...settings, itemCount: countItems(file) } : {}), file: part.file };
    sent(part.itemsSoFar);
    first = false;
  }
}

type Item = readonly [sizeBytes: number, add: (part: FlagFile) => void];

function* toItems(file: FlagFile): Generator<Item> {
  for (const one of file.environments)
    yield [encodedSize(EnvironmentSchema, one), (part) => part.environments.push(one)];
  for (const one of file.segments) yield [encodedSize(SegmentSchema, one), (part) => part.segments.push(one)];
  for (const one of file.flags) yield [encodedSize(FlagSchema, one), (part) => part.flags.push(one)];
  for (const one of file.targetings) yield [encodedSize(TargetingSchema, one), (part) => part.targetings.push(one)];
}

/** With the tag and the length that a list adds to each item. */
function encodedSize<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): number {
  return toBinary(desc, message).length + 6;
}
