import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import { contractLimits } from "../limits.js";
import { checkCondition } from "./condition.js";
import type { Violations } from "./violations.js";

/** Checks what the engine does not: keys, lengths and counts. */
export function checkSegment(segment: Segment, violations: Violations): void {
  violations.key("segment.key", segment.key);
  violations.text("segment.description", segment.description, 4_096);
  violations.count("segment.included", segment.included.length, contractLimits.segmentKeys);
  violations.count("segment.excluded", segment.excluded.length, contractLimits.segmentKeys);
  checkCondition(segment.condition, "segment.condition", violations);
}
