import type { CommitLog, EpochLog } from "./commit-log.js";
import type { EvaluationRecord, WriteRecord } from "./history.js";
import type { LoggedAnswers } from "./logged-answers.js";
import { Findings, type Violation } from "./violation.js";

/** Checks the server's answers: of a revision of the log, never older than what the same process showed before. */
export function checkEvaluations(
  evaluations: readonly EvaluationRecord[],
  writes: readonly WriteRecord[],
  log: CommitLog,
  answers: LoggedAnswers,
  violations: Violation[],
): void {
  const shown = shownBy(evaluations, writes);
  for (const evaluation of evaluations) {
    const { client, calledAt, endedAt, revision, through } = evaluation;
    const findings = new Findings(violations, client);
    const epochs = candidates(evaluation, log);
    const earlier = through === undefined ? undefined : newestBefore(shown.get(through) ?? [], calledAt);
    if (earlier !== undefined && revision < earlier) {
      findings.add("fresh", `${through} answered at revision ${revision} after it had shown ${earlier}`, endedAt);
    }
    const objections = epochs.map((epoch) => objectionsOf(evaluation, epoch, answers));
    if (objections.length === 0) findings.add("durable", `revision ${revision} was answered, and never was`, endedAt);
    else if (objections.every((list) => list.length > 0)) {
      for (const objection of objections[0] ?? []) findings.add("answered", objection, endedAt);
    }
    if (epochs.length > 0 && epochs.every((epoch) => (epoch.commit(revision)?.durableAt ?? 0) > endedAt)) {
      findings.add("durable", `revision ${revision} was answered before it was durable`, endedAt);
    }
  }
}

function candidates({ epoch, revision }: EvaluationRecord, log: CommitLog): EpochLog[] {
  const named = epoch === undefined ? [...log.epochs.values()] : [log.epochs.get(epoch)];
  return named.filter((one): one is EpochLog => one !== undefined && revision <= one.newest);
}

function objectionsOf(evaluation: EvaluationRecord, epoch: EpochLog, answers: LoggedAnswers): string[] {
  const environment = epoch.environment(evaluation.environment);
  if (environment?.at(evaluation.revision)?.exists !== true) {
    return [`at revision ${evaluation.revision} there was no environment ${evaluation.environment}`];
  }
  return evaluation.answers.flatMap((answer) => answers.objection(answer, environment, evaluation.revision) ?? []);
}

interface Shown {
  readonly at: number;
  readonly revision: number;
}

/** What each process was seen to have, by time; each revision is the newest up to then. */
function shownBy(evaluations: readonly EvaluationRecord[], writes: readonly WriteRecord[]): Map<string, Shown[]> {
  const shown = new Map<string, Shown[]>();
  const add = (through: string | undefined, at: number | undefined, revision: number): void => {
    if (through === undefined || at === undefined) return;
    const list = shown.get(through);
    if (list === undefined) shown.set(through, [{ at, revision }]);
    else list.push({ at, revision });
  };
  for (const { through, endedAt, revision } of evaluations) add(through, endedAt, revision);
  for (const { through, endedAt, outcome } of writes.flatMap(({ attempts }) => attempts)) {
    if (outcome.kind === "acknowledged") add(through, endedAt, outcome.revision);
  }
  for (const [through, list] of shown) {
    list.sort((a, b) => a.at - b.at);
    let newest = 0;
    const rising = list.map(({ at, revision }) => {
      newest = Math.max(newest, revision);
      return { at, revision: newest };
    });
    shown.set(through, rising);
  }
  return shown;
}

function newestBefore(list: readonly Shown[], at: number): number | undefined {
  let newest: number | undefined;
  for (const entry of list) {
    if (entry.at >= at) break;
    newest = entry.revision;
  }
  return newest;
}
