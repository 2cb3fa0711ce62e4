import type { Command } from "commander";
import { ImportResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { ExitCode } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { tellForeseen, wouldChange } from "./foreseen-changes.js";
import { type OfferOptions, offerFile, oneFile } from "./offer-file.js";

interface DiffOptions extends Pick<OfferOptions, "skipInvalid" | "force"> {
  readonly file: string;
}

export function addDiffCommand(program: Command, run: CommandRunner): void {
  program
    .command("diff")
    .description("what applying a file would change, field by field, and who would get another variant")
    .requiredOption("-f, --file <file>", 'the file, as for apply; "-" is standard input', oneFile)
    .option("--skip-invalid", "compare what is valid although something is not")
    .option("--force", "as if the keys of deleted flags were to be taken")
    .action(run(compareFile))
    .addHelpText(
      "after",
      `
Changes nothing. Exit codes are as those of diff: 0 nothing would change, 1 something
would; 3 something is refused, which is named.

Who would get another variant is tried on contexts that the server keeps, where that is
switched on: flagwire environments set production --keep-contexts on

Examples:
  flagwire diff -f flags.yaml
  flagwire diff -f flags.yaml --env staging --json`,
    );
}

async function compareFile(session: Session, { file, ...options }: DiffOptions): Promise<ExitCode> {
  const { response } = await offerFile(session, file, { ...options, dryRun: true });
  if (session.output.json) await session.output.document(toDocument(ImportResponseSchema, response));
  else await tellForeseen(session, response);
  return wouldChange(response) ? ExitCode.no : ExitCode.done;
}
