import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  type ImportResponse,
  ImportResponseSchema,
  RefusedItemSchema,
  type ResizedSegment,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode, usageFailure } from "../failure.js";
import type { RefusedFileItem } from "../files/decode-flag-file.js";
import { readFlagFile } from "../files/read-flag-file.js";
import { sendFlagFile } from "../files/send-flag-file.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { describeKeyCounts } from "./change-summary.js";

interface ImportOptions extends WriteOptions {
  readonly skipInvalid?: boolean;
  readonly force?: boolean;
}

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
    .requiredOption("-f, --file <file>", 'the file; "-" is standard input', once);
  addImportOptions(apply).action(
    run((session, options: ImportOptions & { readonly file: string }) => importFile(session, options.file, options)),
  );
  apply.addHelpText("after", examples("apply -f "));
}

/** The last of several would win, and the others be left out without a word. */
function once(path: string, before: string | undefined): string {
  if (before !== undefined) throw usageFailure("-f is given twice; apply one file after the other");
  return path;
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
--skip-invalid nothing is changed then (exit code 3).

Examples:
  flagwire ${command}flags.yaml --dry-run
  flagwire ${command}demo.flagd.json --env staging --skip-invalid`;
}

async function importFile(session: Session, path: string, options: ImportOptions): Promise<void> {
  const { environment } = session.options;
  const content = await readFlagFile(path, session.io.stdin, environment);
  for (const warning of content.warnings) session.output.note(`warning: ${warning}`);
  if (content.refused.length > 0 && !options.skipInvalid) throw refuse(content.refused);
  const response = await sendFlagFile(session.remote(), session.io.stderr, content.file, {
    environment,
    skipInvalid: options.skipInvalid ?? false,
    force: options.force ?? false,
    ...toWriteFields(session, options),
  });
  for (const item of content.refused) response.refused.push(create(RefusedItemSchema, item));
  for (const item of response.refused) session.output.note(`left out: ${describeRefused(item)}`);
  if (response.retypedFlags.length > 0) {
    const keys = response.retypedFlags.join(", ");
    session.output.note(`warning: the type changed of ${keys}; callers that ask for the old one get their own default`);
  }
  const emptied = response.resizedSegments.filter(isEmptied);
  for (const segment of emptied) session.output.note(`warning: ${describeEmptied(segment)}`);
  if (session.output.json) {
    return session.output.document(toDocument(ImportResponseSchema, response));
  }
  await session.output.line(`${summarize(response, content.file)} ${revisionNote(response.revision, options)}`);
  const resized = response.resizedSegments.filter((segment) => !isEmptied(segment));
  for (const segment of resized.slice(0, maximumSegmentsShown)) await session.output.line(describeResized(segment));
  const further = resized.length - maximumSegmentsShown;
  if (further > 0) await session.output.line(`and ${counted(further, "segment")} more with another number of keys`);
}

function isEmptied({ includedAfter, excludedAfter }: ResizedSegment): boolean {
  return includedAfter + excludedAfter === 0;
}

function describeEmptied({ key, environment, includedBefore, excludedBefore }: ResizedSegment): string {
  return `segment ${key} in ${environment} has no keys left; it had ${includedBefore + excludedBefore}`;
}

/** Such as `segment beta in production: included: 3, were 2`. */
function describeResized(segment: ResizedSegment): string {
  const before = { includedCount: segment.includedBefore, excludedCount: segment.excludedBefore };
  const after = { includedCount: segment.includedAfter, excludedCount: segment.excludedAfter };
  return `segment ${segment.key} in ${segment.environment}: ${describeKeyCounts(before, after)}`;
}

function refuse(refused: readonly RefusedFileItem[]): CliFailure {
  const keys = new Set(refused.map(({ key }) => key)).size;
  return new CliFailure(
    ExitCode.refused,
    `${counted(keys, "item")} of the file cannot be imported, so nothing was changed; mend the file, or add --skip-invalid to import the rest`,
    refused.map(describeRefused),
  );
}

function describeRefused({ key, field, description }: RefusedFileItem): string {
  return [key, field, description].filter((part) => part !== "").join(": ");
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
