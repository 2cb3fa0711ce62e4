import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type EvaluationService,
  type ReportUsageRequest,
  ReportUsageResponseSchema,
} from "../../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Clock } from "../../base/index.js";
import { type Context, withoutPrivate } from "../../engine/index.js";
import { resolveEnvironment } from "../access/permit.js";
import { toContext } from "../context.js";
import { MAX_REPORTED_CONTEXTS, type ReportedContexts } from "../contexts/reported-contexts.js";
import { environmentNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import { Violations } from "../validate/violations.js";
import { settingsRevisionAt } from "./settings-revision.js";
import type { ReportedCount, UsageLedger } from "./usage-ledger.js";

const MAX_COUNTS = 5_000;
const MAX_COUNT = 1_000_000_000_000n;

/** What the handler works with. */
export interface UsageParts {
  readonly head: Head;
  readonly clock: Clock;
  readonly usage: UsageLedger;
  /** Takes the contexts that reports bring. Default: none are wanted. */
  readonly reportedContexts?: ReportedContexts;
}

export function reportUsageHandler(parts: UsageParts): ServiceHandlers<typeof EvaluationService>["reportUsage"] {
  return async (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const violations = checkReport(request);
    if (violations.list.length > 0) return invalidArgument(violations.list);
    const contexts = readContexts(request);
    if (isRefusal(contexts)) return contexts;
    const { head, clock, usage, reportedContexts } = parts;
    if (head.snapshot(environment) === undefined) return environmentNotFound(environment);
    const counts = knownCounts(request, head, environment);
    const nowMs = clock.now();
    const endMs = request.endTime === undefined ? nowMs : Math.min(nowMs, timestampMs(request.endTime));
    const { clientName, reportId } = request;
    const { alreadyCounted } = await usage.record({
      environment,
      reporter: { clientName, reportId },
      endMs,
      counts,
    });
    const unknownCount = request.counts.length - counts.length;
    const sinceMs = request.startTime && timestampMs(request.startTime);
    await reportedContexts?.take(environment, alreadyCounted ? [] : contexts, sinceMs);
    const wantedContexts = reportedContexts?.wanted(environment) ?? 0;
    return create(ReportUsageResponseSchema, { alreadyCounted, unknownCount, wantedContexts });
  };
}

function checkReport({ clientName, reportId, startTime, endTime, counts }: ReportUsageRequest): Violations {
  const violations = new Violations();
  violations.text("client_name", clientName, 256);
  if (reportId === "") violations.add("report_id", "is required");
  else violations.text("report_id", reportId, 128);
  violations.timestamp("start_time", startTime);
  violations.timestamp("end_time", endTime);
  if (startTime !== undefined && endTime !== undefined && timestampMs(startTime) > timestampMs(endTime)) {
    violations.add("start_time", "is after end_time");
  }
  violations.count("counts", counts.length, MAX_COUNTS);
  if (counts.length > MAX_COUNTS) return violations;
  for (const [index, { flagKey, count }] of counts.entries()) {
    violations.key(`counts[${index}].flag_key`, flagKey);
    if (count === 0n) violations.add(`counts[${index}].count`, "is required");
    else if (count > MAX_COUNT) violations.add(`counts[${index}].count`, `is ${count}; ${MAX_COUNT} is the limit`);
  }
  return violations;
}

/** As many as may be kept, without what their caller marked as private; the rest is not looked at. */
function readContexts({ contexts }: ReportUsageRequest): OrRefusal<readonly Context[]> {
  const read: Context[] = [];
  for (const [index, message] of contexts.slice(0, MAX_REPORTED_CONTEXTS).entries()) {
    const context = toContext(message, `contexts[${index}]`);
    if (isRefusal(context)) return context;
    read.push(withoutPrivate(context, message.privateAttributes));
  }
  return read;
}

/** The counts of what exists: names that anybody may make up are not kept. */
function knownCounts({ counts }: ReportUsageRequest, head: Head, environment: string): ReportedCount[] {
  const known: ReportedCount[] = [];
  for (const { flagKey, variant, revision, count } of counts) {
    const flag = head.catalog.flag(flagKey);
    const exists = flag !== undefined && (variant === "" || Object.hasOwn(flag.variants, variant));
    if (!exists) continue;
    const settingsRevision = settingsRevisionAt(head, environment, flagKey, revision);
    known.push({ flagKey, variant, revision, count: Number(count), settingsRevision });
  }
  return known;
}
