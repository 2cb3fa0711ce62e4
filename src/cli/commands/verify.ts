import type { Command } from "commander";
import type { VerifyReport } from "../../store/index.js";
import type { CommandRunner } from "../command-runner.js";
import { dataDirectory, defaultDataDirectory } from "../data-directory.js";
import { ExitCode } from "../failure.js";
import type { Session } from "../session.js";
import { toStoreFailure } from "../store-failure.js";
import { counted } from "../text.js";

interface VerifyOptions {
  readonly data?: string;
}

export function addVerifyCommand(program: Command, run: CommandRunner): void {
  program
    .command("verify")
    .description("check a data directory, offline or beside a running server; exit code 1 where it has problems")
    .option("--data <dir>", `the data directory, or a backup (FLAGWIRE_DATA; default ${defaultDataDirectory})`)
    .action(run(verify));
}

async function verify(session: Session, options: VerifyOptions): Promise<ExitCode> {
  const data = dataDirectory(options.data, session.io.env);
  // Loads the store's engine, which no other client command needs.
  const { isStoreProblem, verifyStore } = await import("../../store/index.js");
  const report = await verifyStore(data, session.signal);
  if (isStoreProblem(report)) throw toStoreFailure(report);
  if (session.output.json) await session.output.document(toJsonReport(report));
  else await session.output.line(describeReport(data, report));
  if (report.problemCount === 0) return ExitCode.done;
  for (const problem of report.problems) session.output.note(problem);
  const further = report.problemCount - report.problems.length;
  if (further > 0) session.output.note(`and ${counted(further, "more problem")}`);
  return ExitCode.no;
}

function toJsonReport(report: VerifyReport): unknown {
  const { headRevision, history, ...rest } = report;
  return {
    ...rest,
    headRevision: String(headRevision),
    history: { oldest: String(history.oldest), newest: String(history.newest) },
    ok: report.problemCount === 0,
  };
}

function describeReport(data: string, report: VerifyReport): string {
  const { problemCount, backupTime, epoch } = report;
  const verdict = problemCount === 0 ? "is sound" : `has ${counted(problemCount, "problem")}`;
  const origin = backupTime === undefined ? "" : `, a backup of ${backupTime}`;
  return `${data} ${verdict}: ${describeContent(report)}, epoch ${epoch || "missing"}${origin}`;
}

/** Such as `3 records and 17 history entries at revision 17`. */
export function describeContent({ recordCount, historyCount, headRevision }: VerifyReport): string {
  const entries = historyCount === 1 ? "1 history entry" : `${historyCount} history entries`;
  return `${counted(recordCount, "record")} and ${entries} at revision ${headRevision}`;
}
