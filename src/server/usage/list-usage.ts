import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AdminService,
  ListUsageResponseSchema,
  type VariantUsage,
  VariantUsageSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { ByteBudget, pageSizeOf } from "../admin/page.js";
import { environmentNotFound, flagNotFound, invalidArgument, resolveEnvironment } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import type { RecordedUsage, UsageLedger } from "./usage-ledger.js";

/** What the handler works with. */
export interface UsageListParts {
  readonly head: Head;
  readonly usage: UsageLedger;
}

export function listUsageHandler(parts: UsageListParts): ServiceHandlers<typeof AdminService>["listUsage"] {
  return async ({ environment: name, flagKey, pageSize, pageToken }) => {
    const { head, usage } = parts;
    const environment = resolveEnvironment(name);
    if (head.snapshot(environment) === undefined) return environmentNotFound(environment);
    if (flagKey !== "" && head.catalog.flag(flagKey) === undefined) return flagNotFound(flagKey);
    const size = pageSizeOf(pageSize, 500);
    if (isRefusal(size)) return size;
    const after = parsePageToken(pageToken);
    if (isRefusal(after)) return after;
    const { sinceMs, usages, reporters } = await usage.list(environment, flagKey === "" ? undefined : flagKey);
    // Of a flag that was deleted meanwhile nothing is left to tell.
    const listed = usages.filter((one) => head.catalog.flag(one.flagKey) !== undefined).sort(inOrder);
    const from = after === undefined ? 0 : listed.findIndex((one) => inOrder(one, after) > 0);
    const page = pageOf(from < 0 ? [] : listed.slice(from, from + size));
    const last = page.at(-1);
    const isEnd = last === undefined || from + page.length >= listed.length;
    return create(ListUsageResponseSchema, {
      usages: page,
      nextPageToken: isEnd ? "" : JSON.stringify([last.flagKey, last.variant]),
      countedSince: timestampFromMs(sinceMs),
      reporters: reporters.map(({ clientName, lastReportMs, reportCount }) => ({
        clientName,
        lastReportTime: timestampFromMs(lastReportMs),
        reportCount: BigInt(reportCount),
      })),
    });
  };
}

type Place = Pick<RecordedUsage, "flagKey" | "variant">;

function inOrder(a: Place, b: Place): number {
  return compare(a.flagKey, b.flagKey) || compare(a.variant, b.variant);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As many as a message has room for. */
function pageOf(usages: readonly RecordedUsage[]): VariantUsage[] {
  const page: VariantUsage[] = [];
  const budget = new ByteBudget();
  for (const { flagKey, variant, count, revision, lastUsedMs } of usages) {
    const lastUsedTime = timestampFromMs(lastUsedMs);
    const message = create(VariantUsageSchema, { flagKey, variant, count: BigInt(count), revision, lastUsedTime });
    if (!budget.take(VariantUsageSchema, message)) break;
    page.push(message);
  }
  return page;
}

/** The place of the last one of the page before. */
function parsePageToken(token: string): OrRefusal<Place | undefined> {
  if (token === "") return undefined;
  try {
    const place: unknown = JSON.parse(token);
    if (Array.isArray(place) && place.length === 2 && place.every((part) => typeof part === "string")) {
      const [flagKey = "", variant = ""]: string[] = place;
      return { flagKey, variant };
    }
  } catch {}
  return invalidArgument([{ field: "page_token", description: "is not a token that this server gave" }]);
}
