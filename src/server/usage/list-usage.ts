import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AdminService,
  ListUsageResponseSchema,
  type VariantUsage,
  VariantUsageSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { resolveEnvironment } from "../access/permit.js";
import { ByteBudget, pageSizeOf } from "../admin/page.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import type { RecordedUsage, UsageLedger, UsagePlace } from "./usage-ledger.js";

/** What the handler works with. */
export interface UsageListParts {
  readonly head: Head;
  readonly usage: UsageLedger;
}

export function listUsageHandler(parts: UsageListParts): ServiceHandlers<typeof AdminService>["listUsage"] {
  return async ({ environment: name, flagKey, pageSize, pageToken }, call) => {
    const { head, usage } = parts;
    const environment = resolveEnvironment(name, call);
    if (isRefusal(environment)) return environment;
    if (head.snapshot(environment) === undefined) return environmentNotFound(environment);
    if (flagKey !== "" && head.catalog.flag(flagKey) === undefined) return flagNotFound(flagKey);
    const size = pageSizeOf(pageSize, 500);
    if (isRefusal(size)) return size;
    const after = parsePageToken(pageToken);
    if (isRefusal(after)) return after;
    const query = { environment, flagKey: flagKey === "" ? undefined : flagKey, after, limit: size + 1 };
    const { sinceMs, usages: found, reporters } = await usage.list(query);
    const { usages, last } = pageOf(found.slice(0, size), head);
    const isEnd = last === undefined || last === found.at(-1);
    return create(ListUsageResponseSchema, {
      usages,
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

interface Page {
  readonly usages: VariantUsage[];
  /** The last one that it has dealt with. */
  readonly last: RecordedUsage | undefined;
}

/** As many as a message has room for. Of a flag that was deleted meanwhile nothing is left to tell. */
function pageOf(found: readonly RecordedUsage[], { catalog }: Head): Page {
  const usages: VariantUsage[] = [];
  const budget = new ByteBudget();
  let last: RecordedUsage | undefined;
  for (const one of found) {
    const { flagKey, variant, count, revision, lastUsedMs } = one;
    if (catalog.flag(flagKey) !== undefined) {
      const lastUsedTime = timestampFromMs(lastUsedMs);
      const message = create(VariantUsageSchema, { flagKey, variant, count: BigInt(count), revision, lastUsedTime });
      if (!budget.take(VariantUsageSchema, message)) break;
      usages.push(message);
    }
    last = one;
  }
  return { usages, last };
}

/** The place of the last one of the page before. */
function parsePageToken(token: string): OrRefusal<UsagePlace | undefined> {
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
