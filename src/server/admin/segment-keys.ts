import { create } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ChangeSegmentKeysRequest,
  ChangeSegmentKeysRequestSchema,
  ChangeSegmentKeysResponseSchema,
  type SegmentKeyCounts,
  SegmentKeyCountsSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Segment, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, invalidArgument, segmentNotFound } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { type FieldViolation, isRefusal, type Refusal } from "../refusal.js";
import { type Admin, writeFor } from "./admin.js";
import { putSegment } from "./records.js";
import { shownSegment } from "./shown-segment.js";

type Handlers = ServiceHandlers<typeof AdminService>;

/** What a draft does. */
interface Drafted {
  readonly segment: Segment;
  readonly changed: SegmentKeyCounts;
}

export function segmentKeysHandler(admin: Admin): Handlers["changeSegmentKeys"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const { key } = request;
    const contradictory = refuseContradictions(request);
    if (contradictory !== undefined) return contradictory;
    // Of the last draft: it may be made more than once.
    let drafted: Drafted | undefined;
    return writeFor(admin, ChangeSegmentKeysRequestSchema, request, call, {
      draft: (catalog) => {
        drafted = undefined;
        if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
        const segment = catalog.segment(environment, key);
        if (segment === undefined) return segmentNotFound(key, environment);
        drafted = withChanges(segment, request);
        return { changes: [putSegment(drafted.segment)], reads: "all", brokenReason: "SEGMENT_IN_USE" };
      },
      answer: (catalog, revision, earlier) => {
        const segment = catalog.segment(environment, key);
        const shown = segment && shownSegment(segment, contractLimits.listedSegmentBytes);
        // What was done is told of the attempt that did it.
        const changed = earlier === undefined ? drafted?.changed : undefined;
        return create(ChangeSegmentKeysResponseSchema, {
          revision,
          ...(shown && { segment: shown }),
          ...(changed && { changed }),
        });
      },
    });
  };
}

function refuseContradictions(request: ChangeSegmentKeysRequest): Refusal | undefined {
  const violations: FieldViolation[] = [];
  const check = (added: readonly string[], removed: readonly string[], field: string): void => {
    const removedKeys = new Set(removed);
    for (const [index, key] of added.entries()) {
      if (!removedKeys.has(key)) continue;
      violations.push({ field: `add_${field}[${index}]`, description: `is in remove_${field} too` });
    }
  };
  check(request.addIncluded, request.removeIncluded, "included");
  check(request.addExcluded, request.removeExcluded, "excluded");
  return violations.length === 0 ? undefined : invalidArgument(violations.slice(0, MAX_NAMED));
}

const MAX_NAMED = 100;

function withChanges(segment: Segment, request: ChangeSegmentKeysRequest): Drafted {
  const included = changeKeys(segment.included, request.addIncluded, request.removeIncluded);
  const excluded = changeKeys(segment.excluded, request.addExcluded, request.removeExcluded);
  return {
    segment: create(SegmentSchema, { ...segment, included: included.keys, excluded: excluded.keys }),
    changed: create(SegmentKeyCountsSchema, {
      addedIncluded: included.added,
      removedIncluded: included.removed,
      addedExcluded: excluded.added,
      removedExcluded: excluded.removed,
    }),
  };
}

/** A list of keys, and how many were added to it and taken out of it. */
interface ChangedKeys {
  readonly keys: string[];
  readonly added: number;
  readonly removed: number;
}

/** The list itself where nothing is to be changed. */
function changeKeys(keys: string[], added: readonly string[], removed: readonly string[]): ChangedKeys {
  if (added.length === 0 && removed.length === 0) return { keys, added: 0, removed: 0 };
  const gone = new Set(removed);
  const kept = gone.size === 0 ? [...keys] : keys.filter((key) => !gone.has(key));
  const left = kept.length;
  // The few are looked up among the many, not the other way round: a set of a million keys would take long to make.
  const missing = new Set(added);
  for (const key of kept) missing.delete(key);
  for (const key of missing) kept.push(key);
  return { keys: kept, added: missing.size, removed: keys.length - left };
}
