import { checkEvaluations } from "./check-evaluations.js";
import { type CheckLimits, PROMISED_LIMITS } from "./check-limits.js";
import { checkMirror } from "./check-mirror.js";
import { checkStream } from "./check-stream.js";
import { checkWrites } from "./check-writes.js";
import type { CommitLog } from "./commit-log.js";
import type { History, MirrorRecord, PositionRecord, StreamRecord } from "./history.js";
import { LoggedAnswers } from "./logged-answers.js";
import { Findings, type Violation } from "./violation.js";

/** Everything that a run shows to be broken. Empty: all held. */
export function checkHistory(history: History, log: CommitLog, limits: Partial<CheckLimits> = {}): Violation[] {
  const resolved = { ...PROMISED_LIMITS, ...limits };
  const violations: Violation[] = [...log.violations];
  const answers = new LoggedAnswers();
  checkWrites(history.writes, log, resolved, violations);
  checkEvaluations(history.evaluations, history.writes, log, answers, violations);
  for (const stream of history.streams) {
    const reached = checkStream(stream, log, resolved, violations);
    if (stream.live && history.final) checkFinalPosition(stream, reached, history.final, violations);
  }
  for (const mirror of history.mirrors) {
    checkMirror(mirror, log, answers, violations);
    if (mirror.live && history.final) checkFinalSighting(mirror, history.final, log, violations);
  }
  if (history.final) checkFinal(history.final, log, violations);
  return violations;
}

function checkFinal({ epoch, revision }: PositionRecord, log: CommitLog, violations: Violation[]): void {
  const newest = log.epochs.get(epoch)?.newest;
  if (newest === revision) return;
  new Findings(violations, "the end").add(
    "converged",
    `it is at revision ${revision} of epoch ${epoch}, and the log at ${newest}`,
  );
}

function checkFinalPosition(
  { client }: StreamRecord,
  reached: PositionRecord | undefined,
  final: PositionRecord,
  violations: Violation[],
): void {
  if (reached?.epoch === final.epoch && reached.revision === final.revision) return;
  const where = reached === undefined ? "nothing" : `revision ${reached.revision} of epoch ${reached.epoch}`;
  new Findings(violations, client).add(
    "converged",
    `its stream came to ${where}, not to ${final.revision} of ${final.epoch}`,
  );
}

function checkFinalSighting(
  { client, environment, sightings }: MirrorRecord,
  final: PositionRecord,
  log: CommitLog,
  violations: Violation[],
): void {
  const last = sightings.at(-1);
  const expected = log.epochs.get(final.epoch)?.environment(environment)?.at(final.revision)?.digest;
  if (last?.revision === final.revision && last.digest === expected) return;
  const findings = new Findings(violations, client);
  findings.add(
    "converged",
    `it came to revision ${last?.revision} (${last?.digest}), not to ${final.revision} (${expected})`,
  );
}
