import type { JsonObject } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { ListHistoryResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Change, type HistoryEntry, HistoryEntrySchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toTable } from "../printable.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { parseCount } from "../write-options.js";

interface HistoryOptions {
  readonly limit: number;
}

const maximumChangesShown = 3;

export function addHistoryCommand(program: Command, run: CommandRunner): void {
  program
    .command("history [key]")
    .description("who changed what, newest first; of all environments unless --env names one")
    .option("--limit <n>", "at most so many entries", parseCount("--limit", 100_000), 50)
    .action(run(showHistory));
}

async function showHistory(session: Session, key: string | undefined, options: HistoryOptions): Promise<void> {
  const { entries, last } = await fetchHistory(session, key ?? "", options.limit);
  if (session.output.json) {
    return session.output.document({
      entries: entries.map(toEntryDocument),
      oldestRevision: String(last?.oldestRevision ?? 0n),
      revision: String(last?.revision ?? 0n),
    });
  }
  if (entries.length === 0) {
    session.output.note(key === undefined ? "nothing has been changed yet" : `no change of ${key} is kept`);
    return;
  }
  const rows = entries.map((entry) => [
    String(entry.revision),
    entry.time === undefined ? "" : timestampDate(entry.time).toISOString(),
    entry.author,
    describeChanges(entry),
    entry.comment,
  ]);
  await session.output.raw(toTable(["REVISION", "TIME", "AUTHOR", "CHANGES", "COMMENT"], rows));
}

async function fetchHistory(session: Session, flagKey: string, limit: number) {
  const remote = session.remote();
  const environment = session.options.environmentNamed ? session.options.environment : "";
  const entries: HistoryEntry[] = [];
  let last: ListHistoryResponse | undefined;
  do {
    const pageSize = Math.min(limit - entries.length, 1000);
    const request = { flagKey, environment, pageSize, pageToken: last?.nextPageToken ?? "" };
    last = await remote.call((options) => remote.admin.listHistory(request, options));
    for (const entry of last.entries) entries.push(entry);
  } while (last.nextPageToken !== "" && entries.length < limit);
  return { entries, last };
}

/** An entry has all its fields in a document, also where they are empty. */
function toEntryDocument(entry: HistoryEntry): JsonObject {
  const { time = null, changes = [], ...rest } = toDocument(HistoryEntrySchema, entry);
  const { revision, author, comment } = entry;
  return { revision: String(revision), time, author, comment, changes, ...rest };
}

function describeChanges(entry: HistoryEntry): string {
  const shown = entry.changes.slice(0, maximumChangesShown).map(describeChange);
  const further = entry.changes.length - shown.length + entry.omittedChanges;
  return [...shown, ...(further > 0 ? [`${further} more`] : [])].join(", ");
}

function describeChange(change: Change): string {
  const verb = change.before === undefined ? "created" : change.after === undefined ? "deleted" : "changed";
  const kind = (change.after ?? change.before)?.kind.case;
  switch (kind) {
    case "reservedKey":
      return `${change.after === undefined ? "freed" : "reserved"} the key ${change.key}`;
    case "targeting":
      return `${describeTargetingChange(change, verb)} ${change.key} in ${change.environment}`;
    case "segment":
      return `${verb} ${kind} ${change.key} in ${change.environment}`;
    default:
      return `${verb} ${kind ?? "record"} ${change.key}`;
  }
}

/** The everyday edits by their names. */
function describeTargetingChange({ before, after }: Change, verb: string): string {
  const [old, now] = [before?.kind.value, after?.kind.value];
  if (old?.$typeName !== "flagwire.v1.Targeting" || now?.$typeName !== "flagwire.v1.Targeting") {
    return `${verb} targeting of`;
  }
  if ((old.killed === undefined) !== (now.killed === undefined)) return now.killed === undefined ? "revived" : "killed";
  if (old.enabled !== now.enabled) return now.enabled ? "turned on" : "turned off";
  return `${verb} targeting of`;
}
