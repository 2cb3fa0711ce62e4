import { create, toBinary } from "@bufbuild/protobuf";
import { type ImportResponse, ImportResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Change } from "../../../gen/flagwire/v1/history_pb.js";
import type { RecordChange } from "../../store/index.js";
import type { ImpactPreview } from "../impacts/impact-preview.js";
import { isRefusal, type OrRefusal, type Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { cancelledByClient } from "../status.js";
import { WHOLE_ENTRY } from "./history-entry.js";
import { toHistoryChange } from "./rollback-draft.js";
import { type ShownChanges, shownChanges } from "./shown-entry.js";
import { runSteps, type Steps } from "./steps.js";

/** Changes of a catalog, as history would tell them. */
export function* toHistoryChanges(changes: readonly RecordChange[], catalog: Catalog): Steps<readonly Change[]> {
  const told: Change[] = [];
  for (const change of changes) {
    told.push(toHistoryChange(change, catalog));
    yield;
  }
  return told;
}

/** The answer to a dry run, with what would be changed, and for whom. */
export async function withPreview(
  answer: ImportResponse,
  all: readonly Change[],
  preview: ImpactPreview,
): Promise<OrRefusal<ImportResponse>> {
  const impacts = await preview.impacts();
  if (isRefusal(impacts)) return impacts;
  const rest = create(ImportResponseSchema, { ...answer, impacts });
  const maxBytes = WHOLE_ENTRY.maxBytes - toBinary(ImportResponseSchema, rest).length;
  const showing = shownChanges(all, { ...WHOLE_ENTRY, maxBytes, maySee: () => true, isAsked: () => true });
  const { admin, call } = preview;
  const shown = await runSteps<ShownChanges, Refusal>(showing, admin.writer.turns, () =>
    call.signal.aborted ? cancelledByClient : undefined,
  );
  if (isRefusal(shown)) return shown;
  return create(ImportResponseSchema, { ...rest, changes: shown.changes, omittedChanges: shown.omitted });
}
