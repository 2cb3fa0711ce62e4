import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ListHistoryRequest,
  type ListHistoryResponse,
  ListHistoryResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import {
  type Change,
  ChangeSchema,
  type HistoryEntry,
  HistoryEntrySchema,
} from "../../../gen/flagwire/v1/history_pb.js";
import { invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Admin } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { ByteBudget, pageSizeOf } from "./page.js";
import { shownChange } from "./shown-segment.js";

type Handlers = ServiceHandlers<typeof AdminService>;

/** How many transactions one call looks at, so that a search for a rare flag comes back with a page token in time. */
const MAX_SCANNED = 5_000;

export function historyHandler(admin: Admin): Handlers["listHistory"] {
  return async (request) => {
    const size = pageSizeOf(request.pageSize, 50);
    if (isRefusal(size)) return size;
    const before = parsePageToken(request.pageToken);
    if (isRefusal(before)) return before;
    return answerStore(() => listHistory(admin, request, size, before));
  };
}

async function listHistory(
  { head }: Admin,
  request: ListHistoryRequest,
  size: number,
  before: bigint | undefined,
): Promise<ListHistoryResponse> {
  const { store, revision } = head;
  const entries: HistoryEntry[] = [];
  const budget = new ByteBudget();
  let scanned = 0;
  let nextPageToken = "";
  for await (const entry of store.history(before)) {
    if (entry.revision > revision) continue;
    const isWanted = concerns(entry, request);
    const shown = isWanted ? shorten(entry, request) : undefined;
    const isFull = entries.length === size || scanned++ === MAX_SCANNED;
    if (isFull || (shown !== undefined && !budget.take(HistoryEntrySchema, shown))) {
      nextPageToken = String(entry.revision + 1n);
      break;
    }
    if (shown !== undefined) entries.push(shown);
  }
  const oldestRevision = store.edges().oldest;
  return create(ListHistoryResponseSchema, { entries, nextPageToken, oldestRevision, revision });
}

function parsePageToken(token: string): OrRefusal<bigint | undefined> {
  if (token === "") return undefined;
  if (/^\d{1,19}$/.test(token)) return BigInt(token);
  return invalidArgument([{ field: "page_token", description: "is not a token that this server gave" }]);
}

function concerns(entry: HistoryEntry, { flagKey, environment }: ListHistoryRequest): boolean {
  if (flagKey === "" && environment === "") return true;
  return entry.changes.some((change) => isAskedFor(change, { flagKey, environment }));
}

function isAskedFor(change: Change, { flagKey, environment }: Pick<ListHistoryRequest, "flagKey" | "environment">) {
  if (environment !== "" && change.environment !== environment) return false;
  return flagKey === "" || flagKeyOf(change) === flagKey;
}

function flagKeyOf({ before, after }: Change): string | undefined {
  const kind = (after ?? before)?.kind;
  switch (kind?.case) {
    case "flag":
    case "reservedKey":
      return kind.value.key;
    case "targeting":
      return kind.value.flagKey;
    default:
      return undefined;
  }
}

/**
 * An entry with as many of its changes as an answer has room for, those that were asked for first. One change alone may be
 * too large, though segments with many keys are shown without them.
 */
function shorten(entry: HistoryEntry, request: ListHistoryRequest): HistoryEntry {
  let left: number = contractLimits.messageBytes;
  const fits = (change: Change) => {
    const size = toBinary(ChangeSchema, change).length;
    if (size > left) return false;
    left -= size;
    return true;
  };
  const isAsked = (change: Change) => isAskedFor(change, request);
  const shown = entry.changes.map(shownChange);
  const asked = shown.filter((change) => isAsked(change) && fits(change));
  const others = shown.filter((change) => !isAsked(change) && fits(change));
  const changes = [...asked, ...others];
  return create(HistoryEntrySchema, { ...entry, changes, omittedChanges: shown.length - changes.length });
}
