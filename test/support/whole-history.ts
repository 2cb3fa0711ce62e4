import type { Client } from "@connectrpc/connect";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";

/** All of a server's history, page by page; oldest first. */
export async function wholeHistory(admin: Client<typeof AdminService>): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let pageToken = "";
  do {
    const page = await admin.listHistory({ pageSize: 1_000, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return entries.reverse();
}
