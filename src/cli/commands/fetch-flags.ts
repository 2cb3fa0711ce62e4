import { create } from "@bufbuild/protobuf";
import { type ListFlagsResponse, ListFlagsResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Session } from "../session.js";

/** All pages as one answer; its revision is the last page's. */
export async function fetchFlags(session: Session, tag = ""): Promise<ListFlagsResponse> {
  const remote = session.remote();
  const all = create(ListFlagsResponseSchema);
  let pageToken = "";
  do {
    const request = { environment: session.options.environment, pageSize: 1000, pageToken, tag };
    const page = await remote.call((options) => remote.admin.listFlags(request, options));
    for (const flag of page.flags) all.flags.push(flag);
    for (const targeting of page.targetings) all.targetings.push(targeting);
    all.revision = page.revision;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}
