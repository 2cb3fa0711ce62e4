import { create, toBinary } from "@bufbuild/protobuf";
import { type Segment, type SegmentKeys, SegmentKeysSchema, SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";

/** A segment in parts, none of which repeats a key of another. */
export interface CutSegment {
  /** With as many of its keys as fit. */
  readonly segment: Segment;
  /** The other keys. */
  readonly more: readonly SegmentKeys[];
}

/**
 * Cuts a segment into parts of at most `maxBytes` encoded, except where a single key, or what is not keys, is larger. The
 * segment itself is used where it fits.
 */
export function cutSegment(segment: Segment, maxBytes: number): CutSegment {
  if (mayNeed(segment) <= maxBytes) return { segment, more: [] };
  const { key: segmentKey, environment } = segment;
  const first = withoutKeys(segment);
  const more: SegmentKeys[] = [];
  const headerBytes = toBinary(SegmentKeysSchema, create(SegmentKeysSchema, { segmentKey, environment })).length;
  let part: Pick<Segment, "included" | "excluded"> = first;
  let left = maxBytes - toBinary(SegmentSchema, first).length;
  for (const list of ["included", "excluded"] as const) {
    for (const key of segment[list]) {
      const sizeBytes = keyBytes(key);
      if (sizeBytes > left) {
        const keys = create(SegmentKeysSchema, { segmentKey, environment });
        more.push(keys);
        part = keys;
        left = maxBytes - headerBytes;
      }
      part[list].push(key);
      left -= sizeBytes;
    }
  }
  return more.length === 0 ? { segment, more } : { segment: first, more };
}

/** A copy that has none of the segment's keys. */
export function withoutKeys(segment: Segment): Segment {
  return create(SegmentSchema, { ...segment, included: [], excluded: [] });
}

/** How many bytes a segment has when encoded. Many times faster than encoding it. */
export function segmentBytes(segment: Segment): number {
  let bytes = toBinary(SegmentSchema, withoutKeys(segment)).length;
  for (const key of segment.included) bytes += keyBytes(key);
  for (const key of segment.excluded) bytes += keyBytes(key);
  return bytes;
}

/** At least as many bytes as a segment has when encoded, counted in far less time; no promise for one with a condition. */
function mayNeed(segment: Segment): number {
  if (segment.condition !== undefined) return segmentBytes(segment);
  let length = segment.description.length + segment.key.length + segment.environment.length + 1_024;
  for (const key of segment.included) length += key.length + 2;
  for (const key of segment.excluded) length += key.length + 2;
  return length * 3;
}

/** With its tag, of one byte, and its length. */
function keyBytes(key: string): number {
  const bytes = Buffer.byteLength(key);
  let size = bytes + 2;
  for (let rest = bytes >>> 7; rest > 0; rest >>>= 7) size++;
  return size;
}
