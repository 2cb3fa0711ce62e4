import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import {
  type ListDeletedFlagsResponse,
  ListDeletedFlagsResponseSchema,
  type RollbackResponse,
  RollbackResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ReservedKey } from "../../../gen/flagwire/v1/flag_pb.js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode } from "../failure.js";
import { refusalReason } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { counted, toTable } from "../text.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { describeChange } from "./change-summary.js";
import { noteKilled } from "./rollback.js";
import { similarTo } from "./similar-keys.js";

const maximumChangesShown = 10;
const budgetMs = 60_000;

export function addRestoreCommand(flags: Command, run: CommandRunner): void {
  const restore = flags
    .command("restore <key>")
    .description("bring a deleted flag back, with its settings everywhere, as it was before it was deleted");
  addWriteOptions(restore)
    .action(run(restoreFlag))
    .addHelpText(
      "after",
      `
It is a rollback of this flag to the revision before, so it goes as far back as history. In environments that are newer
than that the flag is off.

Examples:
  flagwire flags list --deleted
  flagwire flags restore new-checkout --dry-run`,
    );
}

/** All deleted flags whose keys are reserved. */
export async function listDeletedFlags(session: Session): Promise<void> {
  const all = await fetchDeletedFlags(session);
  if (session.output.json) {
    const { nextPageToken: _, ...document } = toDocument(ListDeletedFlagsResponseSchema, all);
    return session.output.document(document);
  }
  if (all.reservedKeys.length === 0) return session.output.note("no flag was deleted whose key is still reserved");
  const rows = all.reservedKeys.map(({ key, deletedAt, deletedBy, revision }) => [
    key,
    deletedAt === undefined ? "" : timestampDate(deletedAt).toISOString(),
    deletedBy,
    String(revision),
  ]);
  await session.output.raw(toTable(["KEY", "DELETED", "BY", "REVISION"], rows));
  session.output.note('"flagwire flags restore KEY" brings one back');
}

/** All pages as one answer; its revision is the first page's, so that what was read cannot be newer than it says. */
async function fetchDeletedFlags(session: Session): Promise<ListDeletedFlagsResponse> {
  const remote = session.remote();
  const all = create(ListDeletedFlagsResponseSchema);
  let pageToken = "";
  do {
    const request = { pageSize: 1000, pageToken };
    const page = await remote.call((options) => remote.admin.listDeletedFlags(request, options));
    for (const one of page.reservedKeys) all.reservedKeys.push(one);
    all.revision ||= page.revision;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

async function restoreFlag(session: Session, key: string, options: WriteOptions): Promise<void> {
  const { reservedKeys, revision } = await fetchDeletedFlags(session);
  const deleted = reservedKeys.find((one) => one.key === key);
  if (deleted === undefined) throw await notDeleted(session, key, reservedKeys);
  // Somebody may have taken the key for another flag meanwhile.
  const expectedRevision = options.expectedRevision ?? revision;
  const comment = options.comment ?? `restores ${key}, which revision ${deleted.revision} deleted`;
  const response = await rollBack(session, deleted, { ...options, comment, expectedRevision });
  noteKilled(session, response.changes);
  if (session.output.json) return session.output.document(toDocument(RollbackResponseSchema, response));
  for (const line of describe(response, deleted, options)) await session.output.line(line);
}

async function rollBack(session: Session, deleted: ReservedKey, options: WriteOptions): Promise<RollbackResponse> {
  const remote = session.remote();
  const { key: flagKey, revision } = deleted;
  const request = { toRevision: revision - 1n, flagKey, environment: "", ...toWriteFields(session, options) };
  try {
    return await remote.call((call) => remote.admin.rollback(request, call), budgetMs);
  } catch (error) {
    throw toCompacted(error, deleted) ?? error;
  }
}

function describe(
  { changes, omittedChanges, revision }: RollbackResponse,
  deleted: ReservedKey,
  options: WriteOptions,
): readonly string[] {
  const count = changes.length + omittedChanges;
  const further = count - Math.min(changes.length, maximumChangesShown);
  const done = options.dryRun ? "would restore" : "restored";
  return [
    `${done} ${deleted.key} as it was at revision ${deleted.revision - 1n}: ${counted(count, "change")} ${revisionNote(revision, options)}`,
    ...changes.slice(0, maximumChangesShown).map((change) => `  ${printable(describeChange(change))}`),
    ...(further > 0 ? [`  and ${further} more`] : []),
  ];
}

/** What to do where history does not reach back to before the deletion; undefined for any other failure. */
function toCompacted(error: unknown, { key, revision }: ReservedKey): CliFailure | undefined {
  if (!(error instanceof ConnectError) || refusalReason(error) !== "HISTORY_COMPACTED") return undefined;
  const oldest = error.findDetails(ErrorInfoSchema)[0]?.metadata.oldest_revision ?? "a later one";
  return new CliFailure(
    ExitCode.refused,
    `${key} cannot be brought back: it was deleted at revision ${revision}, and history begins at revision ${oldest} by now`,
    [
      `import it from an earlier export (flagwire import FILE --force), or create it anew (flagwire flags create ${key} --force)`,
    ],
  );
}

async function notDeleted(session: Session, key: string, reserved: readonly ReservedKey[]): Promise<CliFailure> {
  const remote = session.remote();
  try {
    await remote.call((options) => remote.admin.getFlag({ key }, options));
    return new CliFailure(ExitCode.refused, `the flag ${key} is not deleted`);
  } catch (error) {
    if (refusalReason(error) !== "FLAG_NOT_FOUND") throw error;
  }
  const similar = similarTo(
    key,
    reserved.map((one) => one.key),
  );
  const meant = similar.length === 0 ? "" : `; did you mean ${similar.join(" or ")}?`;
  return new CliFailure(ExitCode.refused, `there is no deleted flag ${key}${meant}`);
}
