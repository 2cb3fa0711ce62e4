import type { CommitLog, EpochLog } from "./commit-log.js";
import type { MirrorRecord, MirrorSighting } from "./history.js";
import type { LoggedAnswers } from "./logged-answers.js";
import { Findings, type Violation } from "./violation.js";

/** The checksum of nothing. */
const EMPTY_DIGEST = "0".repeat(16);

/** Checks what one mirror showed: whole revisions of the log, which never go back within an epoch. */
export function checkMirror(
  mirror: MirrorRecord,
  log: CommitLog,
  answers: LoggedAnswers,
  violations: Violation[],
): void {
  const findings = new Findings(violations, mirror.client);
  const newest = new Map<string, number>();
  let epoch: string | undefined;
  for (const sighting of mirror.sightings) {
    if (sighting.revision === 0) {
      if (newest.size > 0) findings.add("monotonic", "it forgot everything", sighting.at);
      if (sighting.digest !== EMPTY_DIGEST) findings.add("reliable", "it shows something at revision 0", sighting.at);
      continue;
    }
    const found = findEpoch(sighting, mirror.environment, log, epoch, newest);
    if (found === undefined) {
      findings.add(
        "reliable",
        `what it shows at revision ${sighting.revision} (${sighting.digest}) never was`,
        sighting.at,
      );
      continue;
    }
    epoch = found.epoch;
    const before = newest.get(epoch) ?? 0;
    if (sighting.revision < before) {
      findings.add("monotonic", `it went back from revision ${before} to ${sighting.revision}`, sighting.at);
    }
    newest.set(epoch, Math.max(before, sighting.revision));
    checkSighting(sighting, found, mirror.environment, answers, findings);
  }
}

/**
 * The epoch that a sighting is of: the one named, or one that had this at the revision; the one before rather than another,
 * but not if that would be going back.
 */
function findEpoch(
  { epoch, revision, digest }: MirrorSighting,
  environment: string,
  log: CommitLog,
  before: string | undefined,
  newest: ReadonlyMap<string, number>,
): EpochLog | undefined {
  const fits = (candidate: EpochLog | undefined): candidate is EpochLog => {
    if (candidate === undefined || revision > candidate.newest) return false;
    const state = candidate.environment(environment)?.at(revision);
    return state?.exists === true && state.digest === digest;
  };
  if (epoch !== undefined) {
    const named = log.epochs.get(epoch);
    return fits(named) ? named : undefined;
  }
  const same = before === undefined ? undefined : log.epochs.get(before);
  const fitting = [same, ...log.epochs.values()].filter(fits);
  return fitting.find((candidate) => revision >= (newest.get(candidate.epoch) ?? 0)) ?? fitting[0];
}

function checkSighting(
  { at, revision, keys, answers = [] }: MirrorSighting,
  epoch: EpochLog,
  name: string,
  logged: LoggedAnswers,
  findings: Findings,
): void {
  const durableAt = epoch.commit(revision)?.durableAt;
  if (durableAt !== undefined && durableAt > at) {
    findings.add("durable", `it showed revision ${revision} before it was durable`, at);
  }
  const environment = epoch.environment(name);
  if (environment === undefined) return;
  if (keys !== undefined) {
    const expected = [...environment.items(revision).keys()].filter((id) => id.startsWith("flag/"));
    const held = keys.map((key) => `flag/${key}`);
    if (held.join("\n") !== expected.sort().join("\n")) {
      findings.add(
        "reliable",
        `at revision ${revision} its flags are ${held.join(", ")}; ${expected.join(", ")} would be right`,
        at,
      );
    }
  }
  for (const answer of answers) {
    const objection = logged.objection(answer, environment, revision);
    if (objection !== undefined) findings.add("answered", objection, at);
  }
}
