import { clone, create } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import {
  type AdminService,
  CreateSegmentRequestSchema,
  CreateSegmentResponseSchema,
  DeleteSegmentRequestSchema,
  DeleteSegmentResponseSchema,
  GetSegmentResponseSchema,
  ListSegmentsResponseSchema,
  UpdateSegmentRequestSchema,
  UpdateSegmentResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Segment, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { segmentId } from "../../store/index.js";
import { withoutKeys } from "../../watch/index.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, invalidArgument, segmentNotFound } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import { type Admin, writeFor } from "./admin.js";
import { mergeFields } from "./field-mask.js";
import { ByteBudget, pageSizeOf } from "./page.js";
import { putSegment, remove } from "./records.js";
import { shownSegment } from "./shown-segment.js";

const KEY_LISTS = ["included", "excluded"] as const;
const EDITABLE = { fields: ["description", "included", "excluded", "condition"] } as const;

type Handlers = ServiceHandlers<typeof AdminService>;

export function segmentHandlers(
  admin: Admin,
): Pick<Handlers, "createSegment" | "getSegment" | "listSegments" | "updateSegment" | "deleteSegment"> {
  return {
    createSegment: createSegment(admin),
    getSegment: getSegment(admin),
    listSegments: listSegments(admin),
    updateSegment: updateSegment(admin),
    deleteSegment: deleteSegment(admin),
  };
}

function createSegment(admin: Admin): Handlers["createSegment"] {
  return (request, call) => {
    const segment = namedSegment(request.segment, request.environment, call);
    if (isRefusal(segment)) return segment;
    if (segment.keysOmitted) return refuseOmittedKeys();
    const { environment, key } = segment;
    return writeFor(admin, CreateSegmentRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
        if (catalog.segment(environment, key)) return segmentExists(key, environment);
        return { changes: [putSegment(segment)], reads: "all", brokenReason: "SEGMENT_IN_USE" };
      },
      answer: (catalog, revision) =>
        create(CreateSegmentResponseSchema, {
          segment: shownSegment(catalog.segment(environment, key) ?? segment),
          revision,
        }),
    });
  };
}

function getSegment(admin: Admin): Handlers["getSegment"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const { catalog, revision } = admin.head;
    if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
    const segment = catalog.segment(environment, request.key);
    if (segment === undefined) return segmentNotFound(request.key, environment);
    return create(GetSegmentResponseSchema, { segment: shownSegment(segment), revision });
  };
}

function listSegments(admin: Admin): Handlers["listSegments"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const { catalog, revision } = admin.head;
    if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
    const size = pageSizeOf(request.pageSize, 500);
    if (isRefusal(size)) return size;
    const segments: Segment[] = [];
    const budget = new ByteBudget();
    for (const key of catalog.segmentKeys(environment)) {
      const kept = catalog.segment(environment, key);
      if (key <= request.pageToken || kept === undefined) continue;
      const segment = shownSegment(kept, contractLimits.listedSegmentBytes);
      if (segments.length === size || !budget.take(SegmentSchema, segment)) {
        const nextPageToken = segments.at(-1)?.key ?? "";
        return create(ListSegmentsResponseSchema, { segments, nextPageToken, revision });
      }
      segments.push(segment);
    }
    return create(ListSegmentsResponseSchema, { segments, revision });
  };
}

function updateSegment(admin: Admin): Handlers["updateSegment"] {
  return (request, call) => {
    const segment = namedSegment(request.segment, request.environment, call);
    if (isRefusal(segment)) return segment;
    if (segment.keysOmitted && namesKeys(request.updateMask)) return refuseOmittedKeys();
    const { environment, key } = segment;
    return writeFor(admin, UpdateSegmentRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
        const current = catalog.segment(environment, key);
        if (current === undefined) return segmentNotFound(key, environment);
        const { updateMask } = request;
        // Without the keys, which may be a million: those that are not named stay.
        const merged = mergeFields(SegmentSchema, withoutKeys(current), segment, updateMask, EDITABLE);
        if (isRefusal(merged)) return merged;
        for (const list of KEY_LISTS) {
          if (updateMask && !updateMask.paths.includes(list)) merged[list] = current[list];
        }
        return { changes: [putSegment(merged)], reads: "all", brokenReason: "SEGMENT_IN_USE" };
      },
      answer: (catalog, revision) =>
        create(UpdateSegmentResponseSchema, {
          segment: shownSegment(catalog.segment(environment, key) ?? segment),
          revision,
        }),
    });
  };
}

function deleteSegment(admin: Admin): Handlers["deleteSegment"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const { key } = request;
    return writeFor(admin, DeleteSegmentRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
        if (catalog.segment(environment, key) === undefined) return segmentNotFound(key, environment);
        return { changes: [remove(segmentId(environment, key))], reads: "all", brokenReason: "SEGMENT_IN_USE" };
      },
      answer: (_catalog, revision) => create(DeleteSegmentResponseSchema, { revision }),
    });
  };
}

/** The segment of a request with its environment filled in. */
function namedSegment(segment: Segment | undefined, environment: string, call: Call): OrRefusal<Segment> {
  if (segment === undefined) return invalidArgument([{ field: "segment", description: "is required" }]);
  if (environment !== "" && segment.environment !== "" && environment !== segment.environment) {
    const description = `is ${segment.environment}, but the request's environment is ${environment}`;
    return invalidArgument([{ field: "segment.environment", description }]);
  }
  const named = clone(SegmentSchema, segment);
  const resolved = resolveEnvironment(segment.environment || environment, call);
  if (isRefusal(resolved)) return resolved;
  named.environment = resolved;
  return named;
}

/** A segment that was read without its keys, to be written without them: nobody means that. */
function refuseOmittedKeys(): Refusal {
  const description =
    "is set: this segment was read without its keys, and would lose them; name what else to change in update_mask, change its keys by ChangeSegmentKeys, or import all of it";
  return invalidArgument([{ field: "segment.keys_omitted", description }]);
}

/** Whether a mask lets keys be replaced; none at all does. */
function namesKeys(mask: FieldMask | undefined): boolean {
  return mask === undefined || KEY_LISTS.some((list) => mask.paths.includes(list));
}

function segmentExists(key: string, environment: string): Refusal {
  return new Refusal(
    "ALREADY_EXISTS",
    "SEGMENT_EXISTS",
    `there is a segment ${JSON.stringify(key)} in ${environment} already`,
    {
      metadata: { segment_key: key, environment },
    },
  );
}
