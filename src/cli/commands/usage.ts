import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  type ListHourlyUsageResponse,
  ListHourlyUsageResponseSchema,
  type ListUsageResponse,
  ListUsageResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { fetchUsage } from "./fetch-usage.js";
import { withSimilarKeys } from "./similar-keys.js";

const maximumReportersNamed = 5;

export function addUsageCommand(program: Command, run: CommandRunner): void {
  program
    .command("usage")
    .argument("[key]", "only of this flag")
    .description("how often each variant was answered, by mirrors and by the server, and when last")
    .option("--hours", "of one flag: by the hour and the revision, for the last 7 days")
    .action(run(showUsage))
    .addHelpText(
      "after",
      `
A mirror reports about every minute, and the server counts what it answers
itself. A variant that was never answered is not listed; without a variant
stands what callers' own defaults answered. Counts outlast restarts.

Examples:
  flagwire usage
  flagwire usage new-checkout --env staging --json
  flagwire usage new-checkout --hours`,
    );
}

interface UsageOptions {
  readonly hours?: boolean;
}

async function showUsage(session: Session, key: string | undefined, { hours }: UsageOptions): Promise<void> {
  if (hours) return showHours(session, key);
  const all =
    key === undefined
      ? await fetchUsage(session, "")
      : await withSimilarKeys(session, key, () => fetchUsage(session, key));
  if (session.output.json) {
    const { nextPageToken: _, ...document } = toDocument(ListUsageResponseSchema, all);
    return session.output.document(document);
  }
  const rows = all.usages.map((one) => [
    one.flagKey,
    one.variant === "" ? "(none)" : one.variant,
    String(one.count),
    String(one.revision),
    toText(one.lastUsedTime),
  ]);
  if (rows.length > 0) await session.output.raw(toTable(["KEY", "VARIANT", "COUNT", "REVISION", "LAST USED"], rows));
  session.output.note(describeReports(all, session.options.environment, key));
}

async function showHours(session: Session, key: string | undefined): Promise<void> {
  if (key === undefined) throw usageFailure("--hours shows one flag; name it: flagwire usage KEY --hours");
  const all = await withSimilarKeys(session, key, () => fetchHours(session, key));
  if (session.output.json) {
    const { nextPageToken: _, ...document } = toDocument(ListHourlyUsageResponseSchema, all);
    return session.output.document(document);
  }
  const rows = all.usages.map(({ hour, variant, revision, count }) => [
    toText(hour),
    variant === "" ? "(none)" : variant,
    revision === 0n ? "(earlier)" : String(revision),
    String(count),
  ]);
  if (rows.length > 0) await session.output.raw(toTable(["HOUR", "VARIANT", "REVISION", "COUNT"], rows));
  const since = `since ${toText(all.completeSince)}`;
  session.output.note(rows.length > 0 ? `complete ${since}` : `nothing of ${key} was evaluated ${since}`);
}

async function fetchHours(session: Session, flagKey: string): Promise<ListHourlyUsageResponse> {
  const remote = session.remote();
  const { environment } = session.options;
  const all = create(ListHourlyUsageResponseSchema);
  let pageToken = "";
  do {
    const request = { environment, flagKey, pageSize: 1000, pageToken };
    const page = await remote.call((options) => remote.admin.listHourlyUsage(request, options));
    for (const usage of page.usages) all.usages.push(usage);
    if (page.completeSince !== undefined) all.completeSince = page.completeSince;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

function describeReports(
  { usages, countedSince, reporters }: ListUsageResponse,
  environment: string,
  key?: string,
): string {
  const since = `since ${toText(countedSince)}`;
  const named = reporters
    .slice(0, maximumReportersNamed)
    .map(({ clientName, lastReportTime }) => `${clientName || "a client without a name"} at ${toText(lastReportTime)}`);
  const mirrors =
    reporters.length === 0
      ? `no mirror of ${environment} has reported anything`
      : `the last reports: ${named.join(", ")}`;
  const what = usages.length > 0 ? "counted" : `nothing of ${key ?? environment} was evaluated`;
  return `${what} ${since}; ${mirrors}`;
}

function toText(time: Timestamp | undefined): string {
  return time === undefined ? "" : timestampDate(time).toISOString();
}
