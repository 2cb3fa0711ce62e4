import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { HistoryEntry } from "../../../gen/flagwire/v1/history_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import type { Session } from "../session.js";
import { parseRevision } from "../write-options.js";
import { toEntryDocument } from "./history.js";
import { describeWhole } from "./whole-changes.js";

export function addShowCommand(program: Command, run: CommandRunner): void {
  program
    .command("show")
    .argument("<revision>", "which entry of history", parseRevision)
    .description("one entry of history: who changed what, field by field, and why")
    .action(run(showEntry))
    .addHelpText(
      "after",
      `
Examples:
  flagwire show 12
  flagwire show 12 --json`,
    );
}

async function showEntry(session: Session, revision: bigint): Promise<void> {
  const remote = session.remote();
  const { entry } = await remote.call((call) => remote.admin.getHistoryEntry({ revision }, call));
  if (entry === undefined) return;
  if (session.output.json) return session.output.document(toEntryDocument(entry));
  for (const line of describeEntry(entry)) await session.output.line(line);
}

function describeEntry(entry: HistoryEntry): readonly string[] {
  const { revision, time, author, comment, changes, omittedChanges } = entry;
  return [
    `revision  ${revision}`,
    `time      ${time === undefined ? "" : timestampDate(time).toISOString()}`,
    `author    ${printable(author)}`,
    ...(comment === "" ? [] : [`comment   ${printable(comment)}`]),
    ...describeWhole(changes, omittedChanges),
  ];
}
