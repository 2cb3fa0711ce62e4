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
    checkAcknowledgements(write, log, limits, findings);
    for (const epoch of log.epochs.values()) checkOccurrences(write, epoch, limits, findings);
  }
  for (const epoch of log.epochs.values()) checkOrder(writes, epoch, violations);
}

function checkAcknowledgements(write: WriteRecord, log: CommitLog, limits: CheckLimits, findings: Findings): void {
  for (const { outcome, endedAt } of write.attempts) {
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
    } else if (own.length > 0 && !isForgotten(write, [...own, newestBy(epoch, endedAt)], epoch, limits)) {
      findings.add("acknowledged", `it was acknowledged at revision ${revision} and made ${own.join(", ")}`, endedAt);
    } else if (own.length === 0 && !write.mayChangeNothing) {
      findings.add("acknowledged", `it was acknowledged at revision ${revision}, where another write is`, endedAt);
    }
  }
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
