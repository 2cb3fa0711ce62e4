import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AdminService, ListHourlyUsageResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { resolveEnvironment } from "../access/permit.js";
import { pageSizeOf } from "../admin/page.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { UsageListParts } from "./list-usage.js";
import type { HourPlace, HourUsage } from "./usage-ledger.js";

export function hourlyUsageHandler(parts: UsageListParts): ServiceHandlers<typeof AdminService>["listHourlyUsage"] {
  return async ({ environment: name, flagKey, pageSize, pageToken }, call) => {
    const { head, usage } = parts;
    const environment = resolveEnvironment(name, call);
    if (isRefusal(environment)) return environment;
    if (head.snapshot(environment) === undefined) return environmentNotFound(environment);
    if (flagKey === "") return invalidArgument([{ field: "flag_key", description: "is required" }]);
    if (head.catalog.flag(flagKey) === undefined) return flagNotFound(flagKey);
    const size = pageSizeOf(pageSize, 500);
    if (isRefusal(size)) return size;
    const after = parsePageToken(pageToken);
    if (isRefusal(after)) return after;
    const found = await usage.listHours({ environment, flagKey, after, limit: size + 1 });
    const usages = found.usages.slice(0, size);
    const last = usages.at(-1);
    return create(ListHourlyUsageResponseSchema, {
      usages: usages.map(({ hourMs, variant, revision, count }) => ({
        hour: timestampFromMs(hourMs),
        variant,
        revision,
        count: BigInt(count),
      })),
      nextPageToken: last === undefined || found.usages.length <= size ? "" : toPageToken(last),
      completeSince: timestampFromMs(found.completeSinceMs),
    });
  };
}

function toPageToken({ hourMs, variant, revision }: HourUsage): string {
  return JSON.stringify([hourMs, variant, String(revision)]);
}

/** The place of the last one of the page before. */
function parsePageToken(token: string): OrRefusal<HourPlace | undefined> {
  if (token === "") return undefined;
  try {
    const place: unknown = JSON.parse(token);
    if (Array.isArray(place) && place.length === 3) {
      const [hourMs, variant, revision]: unknown[] = place;
      const isRevision = typeof revision === "string" && /^\d{1,20}$/.test(revision);
      if (Number.isSafeInteger(hourMs) && typeof variant === "string" && isRevision) {
        return { hourMs: Number(hourMs), variant, revision: BigInt(revision) };
      }
    }
  } catch {}
  return invalidArgument([{ field: "page_token", description: "is not a token that this server gave" }]);
}
