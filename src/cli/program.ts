import { Command } from "commander";
import type { CliIo } from "./cli-io.js";
import type { CommandRunner } from "./command-runner.js";
import { addBackupCommand } from "./commands/backup.js";
import { addClientsCommand } from "./commands/clients.js";
import { addDiffCommand } from "./commands/diff.js";
import { addDumpCommand } from "./commands/dump.js";
import { addEnvironmentsCommands } from "./commands/environments.js";
import { addEvalCommand } from "./commands/eval.js";
import { addExportCommand } from "./commands/export.js";
import { addFlagsCommands } from "./commands/flags.js";
import { addHistoryCommand } from "./commands/history.js";
import { addImportCommands } from "./commands/import.js";
import { addKillCommands } from "./commands/kill.js";
import { addMirrorCommand } from "./commands/mirror.js";
import { addRampCommands } from "./commands/ramp.js";
import { addRestoreCommand } from "./commands/restore.js";
import { addRollbackCommand } from "./commands/rollback.js";
import { addRolloutCommand } from "./commands/rollout.js";
import { addScanCommand } from "./commands/scan.js";
import { addSegmentsCommands } from "./commands/segments.js";
import { addServeCommand } from "./commands/serve.js";
import { addShowCommand } from "./commands/show.js";
import { addStaleCommand } from "./commands/stale.js";
import { addSwitchCommands } from "./commands/switch.js";
import { addTokenCommands } from "./commands/token.js";
import { addUsageCommand } from "./commands/usage.js";
import { addVerifyCommand } from "./commands/verify.js";
import { addWatchCommand } from "./commands/watch.js";
import { addGlobalOptions } from "./global-options.js";

/** The whole command line. Its subcommands inherit output and error handling, so both are set before any is added. */
export function createProgram(io: CliIo, run: CommandRunner): Command {
  const program = new Command("flagwire")
    .description("Feature flags: run the service, change flags, ask for answers, follow changes.")
    .version(io.version, "--version", "print the version")
    .helpOption("--help", "print help")
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  addGlobalOptions(program);
  addServeCommand(program, run);
  addFlagsCommands(program, run);
  addSwitchCommands(program, run);
  addRolloutCommand(program, run);
  addRampCommands(program, run);
  addKillCommands(program, run);
  addImportCommands(program, run);
  addDiffCommand(program, run);
  addExportCommand(program, run);
  addEvalCommand(program, run);
  addWatchCommand(program, run);
  addMirrorCommand(program, run);
  addHistoryCommand(program, run);
  addShowCommand(program, run);
  addRollbackCommand(program, run);
  addUsageCommand(program, run);
  addClientsCommand(program, run);
  addStaleCommand(program, run);
  addScanCommand(program, run);
  addVerifyCommand(program, run);
  addBackupCommand(program, run);
  addRestoreCommand(program, run);
  addDumpCommand(program, run);
  addEnvironmentsCommands(program, run);
  addTokenCommands(program, run);
  addSegmentsCommands(program, run);
  explainErrors(program);
  return program.addHelpText(
    "after",
    `
Exit codes: 0 done, 1 the answer is no, 2 usage, 3 the server refused or cannot be reached.

Examples:
  flagwire serve
  flagwire flags list
  flagwire on new-checkout --env staging
  flagwire eval new-checkout --context '{"targetingKey":"user-1"}'

"flagwire COMMAND --help" tells more of each.`,
  );
}

/** Makes each command's complaints lines of ours that point to that command's help. */
function explainErrors(command: Command, parents = ""): void {
  const name = `${parents}${command.name()}`;
  const outputError = (text: string, write: (line: string) => void) => write(toErrorLine(text, name));
  command.configureOutput({ ...command.configureOutput(), outputError });
  for (const inner of command.commands) explainErrors(inner, `${name} `);
}

/** Commander's complaint, which may have several lines, as one. */
function toErrorLine(text: string, command: string): string {
  const line = text
    .trim()
    .replace(/^error: /, "")
    .replace(/\.$/, "")
    .replace(/\n+/g, " ");
  return `flagwire: ${line}; see "${command} --help"\n`;
}
