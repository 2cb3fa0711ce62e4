import type { Command } from "commander";
import type { VerifyReport } from "../../store/index.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode } from "../failure.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";

interface VerifyOptions {
  readonly data: string;
}

export function addVerifyCommand(program: Command, run: CommandRunner): void {
  program
    .command("verify")
    .description("check a data directory, offline or beside a running server; exit code 1 where it has problems")
    .option("--data <dir>", "the data directory", "./data")
    .action(run(verify));
}

async function verify(session: Session, { data }: VerifyOptions): Promise<ExitCode> {
  // Loads the store's engine, which no other client command needs.
  const { isStoreProblem, verifyStore } = await import("../../store/index.js");
  const report = await verifyStore(data);
  if (isStoreProblem(report)) throw new CliFailure(exitCodeOf(report.kind), report.message);
  if (session.output.json) await session.output.document(toJsonReport(report));
  else await session.output.line(describeReport(data, report));
  if (report.problemCount === 0) return ExitCode.done;
  for (const problem of report.problems) session.output.note(problem);
  const further = report.problemCount - report.problems.length;
  if (further > 0) session.output.note(`and ${counted(further, "more problem")}`);
  return ExitCode.no;
}

/** Damage is an answer, and it is no; the rest could not be looked at. */
function exitCodeOf(kind: string): ExitCode {
  if (kind === "damaged") return ExitCode.no;
  return kind === "not-found" || kind === "not-a-directory" ? ExitCode.usage : ExitCode.refused;
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
  const verdict = report.problemCount === 0 ? "is sound" : `has ${counted(report.problemCount, "problem")}`;
  const { recordCount, historyCount, headRevision } = report;
  const entries = historyCount === 1 ? "1 history entry" : `${historyCount} history entries`;
  return `${data} ${verdict}: ${counted(recordCount, "record")} and ${entries} at revision ${headRevision}`;
}
