import { create } from "@bufbuild/protobuf";
import { type AdminService, GetHistoryEntryResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Change, HistoryEntry } from "../../../gen/flagwire/v1/history_pb.js";
import { outlineOf, type Store } from "../../store/index.js";
import { maySeeAll, maySeeChange } from "../access/permit.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { awaitNamedRevision } from "../state/await-named-revision.js";
import type { Admin } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { historyCompacted, refuseUnknownRevision, revisionNotFound } from "./past-revision.js";
import { shownEntry } from "./shown-entry.js";
import { runSteps } from "./steps.js";

type Handlers = ServiceHandlers<typeof AdminService>;

/** How much an answer about one transaction tells of it. */
export const WHOLE_ENTRY = { maxBytes: 3_145_728, maxComparedBytes: contractLimits.wholeSegmentBytes } as const;

export function historyEntryHandler({ head, writer }: Admin): Handlers["getHistoryEntry"] {
  return ({ revision: asked }, call) =>
    answerStore(async () => {
      await awaitNamedRevision(head, writer.clock, asked);
      const missing =
        asked === 0n
          ? revisionNotFound(asked, "revision", "revision 0 is that of nothing: no transaction made it")
          : refuseUnknownRevision(asked, head, "revision");
      if (missing !== undefined) return missing;
      const { revision } = head;
      const found = await readEntry(head.store, asked);
      if (found === undefined) return historyCompacted(`revision ${asked}`, head.store.edges().oldest, "revision");
      if (isForOthers(found, call)) {
        return revisionNotFound(asked, "revision", `revision ${asked} changed nothing that is for the caller to see`);
      }
      const part = { ...WHOLE_ENTRY, maySee: isFor(call), isAsked: () => true };
      const entry = await runSteps<HistoryEntry, never>(shownEntry(found, part), writer.turns, () => undefined);
      return create(GetHistoryEntryResponseSchema, { entry, revision });
    });
}

/** One transaction, if it is kept. Shared: do not change it. Its largest segments come without their keys. */
export async function readEntry(store: Store, revision: bigint): Promise<HistoryEntry | undefined> {
  for await (const outline of store.outlines(revision + 1n)) {
    return outline.revision === revision ? outline.entry(contractLimits.wholeSegmentBytes) : undefined;
  }
  return undefined;
}

const isFor = (call: Call) => (change: Change) => maySeeChange(call, outlineOf(change));

/** Whoever may not see what was changed is not told who did it when, and why, as in the list. */
function isForOthers({ changes }: HistoryEntry, call: Call): boolean {
  return !maySeeAll(call) && changes.length > 0 && !changes.some(isFor(call));
}
