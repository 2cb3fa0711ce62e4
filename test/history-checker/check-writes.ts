import type { CheckLimits } from "./check-limits.js";
import type { CommitLog, EpochLog } from "./commit-log.js";
import type { WriteAttempt, WriteRecord } from "./history.js";
import { Findings, type Violation } from "./violation.js";

/** Checks writes against the log: what was acknowledged is there, what was refused is not, and nothing is there twice. */
export function checkWrites(
  writes: readonly WriteRecord[],
  log: CommitLog,
  limits: CheckLimits,
  violations: Violation[],
): void {
  for (const write of writes) {
    const findings = new Findings(violations, `write ${write.id}`);
    const others = writes.filter((other) => other !== write);
    checkAcknowledgements(write, others, log, limits, findings);
    checkUnchanged(write, others, log, limits, findings);
    for (const epoch of log.epochs.values()) checkOccurrences(write, epoch, limits, findings);
  }
  for (const epoch of log.epochs.values()) checkOrder(writes, epoch, violations);
}

function checkAcknowledgements(
  write: WriteRecord,
  others: readonly WriteRecord[],
  log: CommitLog,
  limits: CheckLimits,
  findings: Findings,
): void {
  for (const { outcome, calledAt, endedAt } of write.attempts) {
    if (outcome.kind !== "acknowledged") continue;
    const epoch = log.epochs.get(outcome.epoch);
    const { revision } = outcome;
    const own = epoch?.revisionsOf(write.id) ?? [];
    if (epoch === undefined || revision > epoch.newest) {
      findings.add("acknowledged", `it was acknowledged at revision ${revision}, which is lost`, endedAt);
    } else if (own.includes(revision)) {
      const durableAt = epoch.commit(revision)?.durableAt;
      if (durableAt !== undefined && endedAt !== undefined && durableAt > endedAt) {
        findings.add("durable", `revision ${revision} was acknowledged before it was durable`, endedAt);
      }
    } else if (own.length > 0) {
      if (isForgotten(write, [...own, newestBy(epoch, endedAt)], epoch, limits)) continue;
      const unchanged = { from: revision, to: Math.max(...own), calledAt };
      if (write.mayChangeNothing && isUnchangedForgotten(unchanged, others, limits)) continue;
      findings.add("acknowledged", `it was acknowledged at revision ${revision} and made ${own.join(", ")}`, endedAt);
    } else if (!write.mayChangeNothing) {
      findings.add("acknowledged", `it was acknowledged at revision ${revision}, where another write is`, endedAt);
    }
  }
}

/** That a write changed nothing is remembered like that it changed something: every attempt is answered alike. */
function checkUnchanged(
  write: WriteRecord,
  others: readonly WriteRecord[],
  log: CommitLog,
  limits: CheckLimits,
  findings: Findings,
): void {
  if (!write.idempotent) return;
  for (const epoch of log.epochs.values()) {
    if (epoch.revisionsOf(write.id).length > 0) continue;
    const answers = write.attempts.flatMap(({ outcome, calledAt, endedAt }) => {
      const isOfEpoch = outcome.kind === "acknowledged" && outcome.epoch === epoch.epoch;
      return isOfEpoch ? [{ revision: outcome.revision, calledAt, endedAt }] : [];
    });
    answers.sort((a, b) => a.revision - b.revision);
    const [first, last] = [answers[0], answers.at(-1)];
    if (first === undefined || last === undefined || first.revision === last.revision) continue;
    const unchanged = { from: first.revision, to: last.revision, calledAt: first.calledAt };
    if (isUnchangedForgotten(unchanged, others, limits)) continue;
    const revisions = `${first.revision} and ${last.revision}`;
    findings.add("acknowledged", `it changed nothing and was acknowledged at revisions ${revisions}`, last.endedAt);
  }
}

/** A write that was found to change nothing at a revision, and was worked out again at another. */
interface Unchanged {
  readonly from: number;
  readonly to: number;
  readonly calledAt: number;
}

/** Whether its key may have been forgotten in between: for further transactions, or for others that changed nothing. */
function isUnchangedForgotten(
  { from, to, calledAt }: Unchanged,
  others: readonly WriteRecord[],
  { keptIdempotencyKeys }: CheckLimits,
): boolean {
  if (to - from >= keptIdempotencyKeys) return true;
  const since = others.filter(
    ({ idempotent, mayChangeNothing, attempts }) =>
      idempotent && mayChangeNothing && attempts.some(({ endedAt }) => endedAt === undefined || endedAt >= calledAt),
  );
  return since.length >= keptIdempotencyKeys;
}

function checkOccurrences(write: WriteRecord, epoch: EpochLog, limits: CheckLimits, findings: Findings): void {
  const revisions = epoch.revisionsOf(write.id);
  const possible = write.attempts.filter(({ outcome }) => outcome.kind !== "refused").length;
  const isOnce = write.idempotent && !isForgotten(write, revisions, epoch, limits);
  if (possible === 0 && revisions.length > 0) {
    findings.add("refused", `it was refused and made revision ${revisions.join(", ")} of epoch ${epoch.epoch}`);
  } else if (revisions.length > Math.max(possible, 1) || (isOnce && revisions.length > 1)) {
    findings.add("once", `it made the revisions ${revisions.join(", ")} of epoch ${epoch.epoch}`);
  }
  const { expectedRevision } = write;
  if (expectedRevision === undefined) return;
  for (const revision of revisions) {
    for (const { before, key } of epoch.commit(revision)?.entry.changes ?? []) {
      const overwritten = Number(before?.kind.value?.revision ?? 0n);
      if (overwritten <= expectedRevision) continue;
      findings.add("compared", `it expected revision ${expectedRevision} and overwrote ${key} of ${overwritten}`);
    }
  }
}

/** Whether its idempotency key may have been forgotten, so that it was carried out again. */
function isForgotten(write: WriteRecord, revisions: readonly number[], epoch: EpochLog, limits: CheckLimits): boolean {
  if (!write.idempotent) return true;
  const [first = epoch.newest] = revisions;
  const last = revisions.at(-1) ?? first;
  return Math.max(last, first) - first >= limits.keptIdempotencyKeys;
}

/** The newest revision that was durable at a time: a process that has not seen it yet may have forgotten a key by it. */
function newestBy(epoch: EpochLog, at = Number.POSITIVE_INFINITY): number {
  return epoch.commits.filter(({ durableAt = 0 }) => durableAt <= at).length;
}

/** A write that was acknowledged before another was called stands before it. */
function checkOrder(writes: readonly WriteRecord[], epoch: EpochLog, violations: Violation[]): void {
  const inherited = epoch.inherited.length;
  const placed = writes.flatMap((write) => {
    const revisions = epoch.revisionsOf(write.id);
    const [revision] = revisions;
    if (revisions.length !== 1 || revision === undefined || revision <= inherited) return [];
    const calledAt = write.attempts[0]?.calledAt ?? 0;
    return [{ id: write.id, revision, calledAt, endedAt: acknowledgedAt(write.attempts, epoch.epoch, revision) }];
  });
  placed.sort((a, b) => a.revision - b.revision);
  let latestCall = { calledAt: Number.NEGATIVE_INFINITY, id: "", revision: 0 };
  for (const { id, revision, calledAt, endedAt } of placed) {
    if (endedAt !== undefined && latestCall.calledAt > endedAt) {
      const findings = new Findings(violations, `write ${id}`);
      findings.add(
        "acknowledged",
        `its revision ${revision} stands after ${latestCall.revision}, of ${latestCall.id}, which was called later`,
      );
    }
    if (calledAt > latestCall.calledAt) latestCall = { calledAt, id, revision };
  }
}

function acknowledgedAt(attempts: readonly WriteAttempt[], epoch: string, revision: number): number | undefined {
  const acknowledged = attempts.find(
    ({ outcome }) => outcome.kind === "acknowledged" && outcome.epoch === epoch && outcome.revision === revision,
  );
  return acknowledged?.endedAt;
}
