import type { JsonObject } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { ListHistoryResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type HistoryEntry, HistoryEntrySchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { parseCount } from "../write-options.js";
import { describeDifferences } from "./change-details.js";
import { describeChanges, isOfFlag } from "./change-summary.js";
import { similarIfAbsent } from "./similar-keys.js";

const maximumDetails = 5;

interface HistoryOptions {
  readonly limit: number;
}

export function addHistoryCommand(program: Command, run: CommandRunner): void {
  program
    .command("history")
    .argument("[key]", "only what changed this flag")
    .description("who changed what, newest first; of all environments unless --env names one")
    .option("--limit <n>", "at most so many entries", parseCount("--limit", 100_000), 50)
    .action(run(showHistory))
    .addHelpText(
      "after",
      `
KEY is a flag's. What changed of segments and environments is shown without one. "flagwire show REVISION" tells all of
one entry, and "flagwire rollback REVISION" goes back.

Examples:
  flagwire history
  flagwire history new-checkout --env production --limit 5`,
    );
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
    session.output.note(await describeNothing(session, key));
    return;
  }
  const rows = entries.map((entry) => [
    String(entry.revision),
    entry.time === undefined ? "" : timestampDate(entry.time).toISOString(),
    entry.author,
    describeChanges(entry, key),
    entry.comment,
  ]);
  const [header, ...lines] = toTable(["REVISION", "TIME", "AUTHOR", "CHANGES", "COMMENT"], rows).trimEnd().split("\n");
  const blocks = entries.map((entry, index) => [lines[index] ?? "", ...detailsOf(entry, key)]);
  for (const line of [header ?? "", ...blocks.flat()]) await session.output.line(line);
}

/** What is different, in a few lines below the entry's own. */
function detailsOf({ changes }: HistoryEntry, key: string | undefined): readonly string[] {
  const asked = key === undefined ? changes : changes.filter((change) => isOfFlag(change, key));
  return describeDifferences(asked, { maxLines: maximumDetails, isShort: true }).map((line) => `    ${line}`);
}

async function describeNothing(session: Session, key: string | undefined): Promise<string> {
  const { environment, environmentNamed } = session.options;
  const where = environmentNamed ? ` in the environment ${environment}` : "";
  if (key === undefined) return environmentNamed ? `no change was found${where}` : "nothing has been changed yet";
  const similar = await similarIfAbsent(session, key);
  if (similar === undefined) return `no change of the flag ${key} was found${where}`;
  const meant = similar.length === 0 ? "." : `; did you mean ${similar.join(" or ")}?`;
  return `no change of a flag ${key} was found${where}, and there is no such flag now${meant} "flagwire history" alone shows segments and environments too`;
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
export function toEntryDocument(entry: HistoryEntry): JsonObject {
  return { time: null, ...toDocument(HistoryEntrySchema, entry) };
}
