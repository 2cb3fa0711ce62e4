import { create } from "@bufbuild/protobuf";
import { type ListUsageResponse, ListUsageResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Session } from "../session.js";

/** All pages as one answer: of one flag, or of all where the key is empty. */
export async function fetchUsage(session: Session, flagKey: string): Promise<ListUsageResponse> {
  const remote = session.remote();
  const { environment } = session.options;
  const all = create(ListUsageResponseSchema);
  let pageToken = "";
  do {
    const request = { environment, flagKey, pageSize: 1000, pageToken };
    const page = await remote.call((options) => remote.admin.listUsage(request, options));
    for (const usage of page.usages) all.usages.push(usage);
    const { countedSince } = page;
    if (countedSince !== undefined) all.countedSince = countedSince;
    all.reporters = page.reporters;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}
