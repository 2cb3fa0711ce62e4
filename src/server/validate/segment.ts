import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import { segmentBytes, withoutKeys } from "../../watch/index.js";
import { contractLimits } from "../limits.js";
import { checkCondition } from "./condition.js";
import type { Violations } from "./violations.js";

/** Checks what the engine does not: keys, lengths and counts. */
export function checkSegment(segment: Segment, violations: Violations): void {
  violations.key("segment.key", segment.key);
  violations.text("segment.description", segment.description, 4_096);
  checkKeys("segment.included", segment.included, violations);
  checkKeys("segment.excluded", segment.excluded, violations);
  checkCondition(segment.condition, "segment.condition", violations);
  violations.size("segment", segmentBytes(segment), contractLimits.segmentBytes);
  const restBytes = segmentBytes(withoutKeys(segment));
  if (restBytes > contractLimits.segmentRestBytes) {
    const { segmentRestBytes } = contractLimits;
    violations.add(
      "segment.condition",
      `is too large: without its keys the segment has ${restBytes} bytes when encoded; ${segmentRestBytes} is the limit`,
    );
  }
}

function checkKeys(field: string, keys: readonly string[], violations: Violations): void {
  const { segmentKeys, segmentKeyLength } = contractLimits;
  violations.count(field, keys.length, segmentKeys);
  let index = 0;
  for (const key of keys) {
    if (key.length > segmentKeyLength) violations.text(`${field}[${index}]`, key, segmentKeyLength);
    index++;
  }
}
