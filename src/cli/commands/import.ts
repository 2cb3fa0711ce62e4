import type { Command } from "commander";
import {
  type ImportResponse,
  ImportResponseSchema,
  type ResizedSegment,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { addWriteOptions, revisionNote } from "../write-options.js";
import { describeKeyCounts } from "./change-summary.js";
import { tellForeseen } from "./foreseen-changes.js";
import { isEmptied, type OfferOptions, offerFile, oneFile } from "./offer-file.js";

/** Those that lose the most come first. */
const maximumSegmentsShown = 20;

const formats = "native YAML or JSON, or flagd's format, which is detected";

/** `import FILE` and `apply -f FILE`: the same under the two names that people look for. */
export function addImportCommands(program: Command, run: CommandRunner): void {
  const importCommand = program
    .command("import <file>")
    .description(`take a file over in one transaction: ${formats}; "-" is standard input`);
  addImportOptions(importCommand).action(run(importFile));
  importCommand.addHelpText("after", examples("import "));
  const apply = program
    .command("apply")
    .description(`make what a file holds so, in one transaction: ${formats}`)
    .requiredOption("-f, --file <file>", 'the file; "-" is standard input', oneFile);
  addImportOptions(apply).action(
    run((session, options: OfferOptions & { readonly file: string }) => importFile(session, options.file, options)),
  );
  apply.addHelpText("after", examples("apply -f "));
}

function addImportOptions(command: Command): Command {
  return addWriteOptions(
    command
      .option("--skip-invalid", "import what is valid although something is not")
      .option("--force", "take the keys of deleted flags all the same"),
  );
}

function examples(command: string): string {
  return `
What the file does not hold stays. Whatever is refused is named; without
--skip-invalid nothing is changed then (exit code 3). --dry-run says what would
change, and who would get another variant; so does "flagwire diff". --env is
for what names no environment itself: flagd's format, and such targetings.

Examples:
  flagwire ${command}flags.yaml --dry-run
  flagwire ${command}demo.flagd.json --env staging --skip-invalid`;
}

async function importFile(session: Session, path: string, options: OfferOptions): Promise<void> {
  const { file, response } = await offerFile(session, path, options);
  if (session.output.json) {
    return session.output.document(toDocument(ImportResponseSchema, response));
  }
  await session.output.line(`${summarize(response, file)} ${revisionNote(response.revision, options)}`);
  if (options.dryRun) return tellForeseen(session, response);
  const resized = response.resizedSegments.filter((segment) => !isEmptied(segment));
  for (const segment of resized.slice(0, maximumSegmentsShown)) await session.output.line(describeResized(segment));
  const further = resized.length - maximumSegmentsShown;
  if (further > 0) await session.output.line(`and ${counted(further, "segment")} more with another number of keys`);
}

/** Such as `segment beta in production: included: 3, were 2`. */
function describeResized(segment: ResizedSegment): string {
  const before = { includedCount: segment.includedBefore, excludedCount: segment.excludedBefore };
  const after = { includedCount: segment.includedAfter, excludedCount: segment.excludedAfter };
  return `segment ${segment.key} in ${segment.environment}: ${describeKeyCounts(before, after)}`;
}

/** Such as `12 flags: 2 created, 1 updated, 9 unchanged, 1 segment changed`. What is not in the file is not mentioned. */
export function summarize(response: ImportResponse, file: FlagFile): string {
  const { createdFlags, updatedFlags, unchangedFlags, changedSegments, refused } = response;
  const total = createdFlags.length + updatedFlags.length + unchangedFlags.length;
  const flags = `${counted(total, "flag")}: ${createdFlags.length} created, ${updatedFlags.length} updated, ${unchangedFlags.length} unchanged`;
  const parts = [
    ...(total > 0 ? [flags] : []),
    ...(file.segments.length > 0 ? [`${counted(changedSegments.length, "segment")} changed`] : []),
    // The answer does not tell which of them are new.
    ...(file.environments.length > 0 ? [`${counted(file.environments.length, "environment")} in the file`] : []),
    ...(refused.length > 0 ? [`${counted(new Set(refused.map(({ key }) => key)).size, "item")} left out`] : []),
  ];
  return parts.length === 0 ? "nothing in the file" : parts.join(", ");
}
