import { writeFile } from "node:fs/promises";
import { create, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { type FlagFile, FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import { type Finding, toFlagdFile } from "../../flagd/index.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode, usageFailure } from "../failure.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";

interface ExportOptions {
  readonly format: "native" | "flagd";
  readonly yaml?: boolean;
  readonly output?: string;
}

/** Everything may be much; that the server can be reached is made sure of before. */
const exportBudgetMs = 120_000;

export function addExportCommand(program: Command, run: CommandRunner): void {
  program
    .command("export")
    .description("everything as a file on standard output; of all environments unless --env names one")
    .addOption(new Option("--format <format>", "the format").choices(["native", "flagd"]).default("native"))
    .addOption(new Option("--yaml", "as YAML (native: the default, unless FILE ends with .json)"))
    .option("-o, --output <file>", "write to a file instead")
    .action(run(exportFlags))
    .addHelpText(
      "after",
      `
flagd knows one environment, and not everything. Prerequisites and segments are
written out; what it cannot express (such as regular expressions) is left out and
named on standard error, and with --json -o FILE in a document on standard output;
the exit code is then 1. docs/flagd.md has the list.
It is one way: import refuses some of what is written out, such as text that
ignores case. To move between Flagwires, take the native format.

Examples:
  flagwire export > flags.yaml
  flagwire export --env staging --json -o staging.json
  flagwire export --format flagd -o demo.flagd.json`,
    );
}

async function exportFlags(session: Session, options: ExportOptions): Promise<ExitCode> {
  if (options.yaml && session.output.json) throw usageFailure("--yaml and --json exclude each other");
  const { environment, environmentNamed } = session.options;
  const flagd = options.format === "flagd";
  const { file, revision } = await fetchFile(session, flagd || environmentNamed ? environment : "");
  const converted = flagd ? toFlagdFile(file, environment) : undefined;
  const json = converted === undefined ? toJson(FlagFileSchema, withoutOutputOnly(file)) : converted.json;
  await write(session, render(json, session, options), options.output);
  const { left = [], warnings = [] } = converted ?? {};
  if (options.output !== undefined) {
    const written = file.flags.length - new Set(left.map(({ key }) => key)).size;
    session.output.note(`wrote ${counted(written, "flag")} to ${options.output} (revision ${revision})`);
    // Standard output is the file's where none is named, and free for what a script wants to know of it otherwise.
    const found = converted === undefined ? {} : { left, warnings };
    if (session.output.json) await session.output.document({ flags: written, revision: String(revision), ...found });
  }
  for (const warning of warnings) session.output.note(`warning: ${describe(warning)}`);
  for (const one of left) session.output.note(`left out: ${describe(one)}`);
  return left.length === 0 ? ExitCode.done : ExitCode.no;
}

/** Who changed what and when is history's to tell: a file in a repository should change only with what it says. */
function withoutOutputOnly(file: FlagFile): FlagFile {
  const nobody = { changedAt: undefined, changedBy: "", revision: 0n } as const;
  const notCreated = { createdAt: undefined, createdBy: "", revision: 0n } as const;
  for (const flag of file.flags) Object.assign(flag, nobody, notCreated);
  for (const targeting of file.targetings) Object.assign(targeting, nobody);
  for (const segment of file.segments) Object.assign(segment, nobody, notCreated);
  for (const environment of file.environments) Object.assign(environment, notCreated);
  return file;
}

/** What is said once, of all flags of a kind, is said without a key. */
function describe({ key, path, description }: Finding): string {
  return [key, path, description].filter((part) => part !== "").join(": ");
}

async function fetchFile(session: Session, environment: string): Promise<{ file: FlagFile; revision: bigint }> {
  const remote = session.remote();
  await remote.reach();
  return remote.call(async (options) => {
    const file = create(FlagFileSchema);
    const segments = new Map<string, Segment>();
    let revision = 0n;
    for await (const part of remote.admin.export({ environment }, options)) {
      revision = part.revision;
      for (const flag of part.file?.flags ?? []) file.flags.push(flag);
      for (const targeting of part.file?.targetings ?? []) file.targetings.push(targeting);
      for (const segment of part.file?.segments ?? []) {
        file.segments.push(segment);
        segments.set(`${segment.environment}/${segment.key}`, segment);
      }
      for (const { segmentKey, environment: name, included, excluded } of part.file?.segmentKeys ?? []) {
        const segment = segments.get(`${name}/${segmentKey}`);
        if (segment === undefined) throw keysOfNothing(segmentKey, name);
        for (const key of included) segment.included.push(key);
        for (const key of excluded) segment.excluded.push(key);
      }
      for (const one of part.file?.environments ?? []) file.environments.push(one);
    }
    return { file, revision };
  }, exportBudgetMs);
}

/** Left out, they would be missing from the file without a word. */
function keysOfNothing(key: string, environment: string): CliFailure {
  const message = `the server sent keys of segment ${JSON.stringify(key)} of ${environment}, but not the segment; nothing was written`;
  return new CliFailure(ExitCode.refused, message);
}

function render(json: JsonValue, session: Session, options: ExportOptions): string {
  const asJson =
    session.output.json || (!options.yaml && (options.format === "flagd" || options.output?.endsWith(".json")));
  if (asJson) return `${JSON.stringify(json, undefined, 2)}\n`;
  // Readers of YAML 1.1 take a bare `on` for true, so such words are quoted; long lines are not folded, so that they diff.
  return stringify(json, { compat: "yaml-1.1", aliasDuplicateObjects: false, lineWidth: 0 });
}

/** Whether the path itself is at fault, rather than what holds it: a full disk is no mistake in the command line. */
function isNotOpened(error: unknown): boolean {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return false;
  return error.syscall === "open" && !["ENOSPC", "EDQUOT", "EIO"].includes(String(error.code));
}

async function write(session: Session, text: string, path: string | undefined): Promise<void> {
  if (path === undefined) return session.output.raw(text);
  try {
    await writeFile(path, text);
  } catch (error) {
    const message = `the file cannot be written: ${(error as Error).message}`;
    throw isNotOpened(error) ? usageFailure(message) : new CliFailure(ExitCode.refused, message);
  }
}
