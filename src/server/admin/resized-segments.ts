import { create } from "@bufbuild/protobuf";
import { type ResizedSegment, ResizedSegmentSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { RecordChange } from "../../store/index.js";
import type { Catalog } from "../state/catalog.js";

const MAX_NAMED = 1_000;

/** The segments of `catalog` that have more or fewer keys after the changes, those that lose the most first. */
export function resizedSegments(catalog: Catalog, changes: readonly RecordChange[]): ResizedSegment[] {
  const resized: ResizedSegment[] = [];
  for (const { after } of changes) {
    if (after?.kind.case !== "segment") continue;
    const { key, environment, included, excluded } = after.kind.value;
    const before = catalog.segment(environment, key);
    if (before === undefined) continue;
    const counts = {
      includedBefore: before.included.length,
      includedAfter: included.length,
      excludedBefore: before.excluded.length,
      excludedAfter: excluded.length,
    };
    const isResized = counts.includedBefore !== counts.includedAfter || counts.excludedBefore !== counts.excludedAfter;
    if (isResized) resized.push(create(ResizedSegmentSchema, { key, environment, ...counts }));
  }
  return resized.sort((a, b) => lossOf(b) - lossOf(a) || (idOf(a) < idOf(b) ? -1 : 1)).slice(0, MAX_NAMED);
}

function lossOf({ includedBefore, includedAfter, excludedBefore, excludedAfter }: ResizedSegment): number {
  return Math.max(0, includedBefore - includedAfter) + Math.max(0, excludedBefore - excludedAfter);
}

function idOf({ environment, key }: ResizedSegment): string {
  return `${environment}/${key}`;
}
