import { create } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ListHistoryRequest,
  type ListHistoryResponse,
  ListHistoryResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type HistoryEntry, HistoryEntrySchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type ChangeOutline, type HistoryOutline, outlineOf } from "../../store/index.js";
import { maySeeAll, maySeeChange, resolveEnvironment } from "../access/permit.js";
import { invalidArgument } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Admin } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { ByteBudget, pageSizeOf } from "./page.js";
import { shownEntry } from "./shown-entry.js";
import { runSteps, type Steps } from "./steps.js";

type Handlers = ServiceHandlers<typeof AdminService>;

/** How many transactions one call looks at, so that a search for a rare flag comes back with a page token in time. */
const MAX_SCANNED = 5_000;

export function historyHandler(admin: Admin): Handlers["listHistory"] {
  return async (request, call) => {
    const size = pageSizeOf(request.pageSize, 50);
    if (isRefusal(size)) return size;
    const named = request.environment === "" ? undefined : resolveEnvironment(request.environment, call);
    if (isRefusal(named)) return named;
    const before = parsePageToken(request.pageToken);
    if (isRefusal(before)) return before;
    return answerStore(() => listHistory(admin, request, { size, before, call }));
  };
}

interface Page {
  readonly size: number;
  /** Only transactions with a lower revision. */
  readonly before: bigint | undefined;
  /** Who asks, and until when. */
  readonly call: Pick<Call, "identity" | "signal">;
}

async function listHistory(
  { head, writer }: Admin,
  request: ListHistoryRequest,
  { size, before, call }: Page,
): Promise<OrRefusal<ListHistoryResponse>> {
  const { store, revision } = head;
  const entries: HistoryEntry[] = [];
  const budget = new ByteBudget();
  let scanned = 0;
  let nextPageToken = "";
  // Looked at in outline: an entry may hold a million keys, which take long to decode.
  for await (const outline of store.outlines(before)) {
    if (call.signal.aborted) return new Refusal("CANCELLED", "CANCELLED", "the caller has gone");
    if (outline.revision > revision) continue;
    const isFull = entries.length === size || scanned++ === MAX_SCANNED;
    const shown =
      !isFull && concerns(outline, request, call)
        ? await runSteps<HistoryEntry, never>(shorten(outline, request, call), writer.turns, () => undefined)
        : undefined;
    if (isFull || (shown !== undefined && !budget.take(HistoryEntrySchema, shown))) {
      nextPageToken = String(outline.revision + 1n);
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

function concerns(outline: HistoryOutline, { flagKey, environment }: ListHistoryRequest, caller: Caller): boolean {
  if (flagKey === "" && environment === "" && maySeeAll(caller)) return true;
  for (const change of outline.changes()) {
    if (maySeeChange(caller, change) && isAskedFor(change, { flagKey, environment })) return true;
  }
  return false;
}

type Caller = Pick<Call, "identity">;

function isAskedFor(change: ChangeOutline, { flagKey, environment }: Filter): boolean {
  if (environment !== "" && change.environment !== environment) return false;
  return flagKey === "" || (change.key === flagKey && isOfFlag(change));
}

type Filter = Pick<ListHistoryRequest, "flagKey" | "environment">;

/** Else its key is not a flag's. */
function isOfFlag({ kind }: ChangeOutline): boolean {
  return kind === "flag" || kind === "reservedKey" || kind === "targeting";
}

/** An entry with as much of it as an answer about many has room for, and what was asked for first. */
function shorten(outline: HistoryOutline, request: ListHistoryRequest, caller: Caller): Steps<HistoryEntry> {
  return shownEntry(outline.entry(contractLimits.listedSegmentBytes), {
    maxBytes: contractLimits.messageBytes,
    maxComparedBytes: contractLimits.listedSegmentBytes,
    maySee: (change) => maySeeChange(caller, outlineOf(change)),
    isAsked: (change) => isAskedFor(outlineOf(change), request),
  });
}
