import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { emptySnapshot, type Problem, type Snapshot } from "../../engine/index.js";
import type { RecordChange } from "../../store/index.js";
import type { Catalog } from "../state/catalog.js";
import type { Head } from "../state/head.js";
import { allItems, changedItems } from "../state/watch-items.js";
import { checkFlag } from "./flag.js";
import { checkSegment } from "./segment.js";
import { checkTargeting } from "./targeting.js";
import { Violations } from "./violations.js";

/** Something wrong with the state that a write would lead to. */
export interface Finding extends Problem {
  readonly kind: "flag" | "segment" | "environment";
  /** The flag's or segment's key, or the environment's name. */
  readonly key: string;
  /** Where it concerns one environment. */
  readonly environment: string;
  /** Whether the write itself put it there, or broke something that it does not touch. */
  readonly touched: boolean;
}

/** Everything that is wrong with what some changes would lead to; empty if they may be made. */
export function checkChanges(head: Head, changes: readonly RecordChange[]): readonly Finding[] {
  const before = head.catalog;
  const after = before.with(changes);
  const findings = changes.flatMap(({ after: record }) => (record ? checkRecord(record, after) : []));
  findings.push(...brokenPrerequisites(changes, before, after));
  const changed = changes.map(({ id, after: record }) => ({ before: before.record(id), after: record }));
  const names = after.environmentNames();
  const known = names.filter((name) => head.snapshot(name) !== undefined);
  for (const [name, items] of changedItems(after, known, changed)) {
    const current = head.snapshot(name);
    if (current === undefined || items.length === 0) continue;
    const candidate = current.apply("delta", items, current.position);
    findings.push(...newProblems(current, candidate, touchedKeys(changes, name), after.segmentKeys(name)));
  }
  for (const name of names) {
    if (known.includes(name)) continue;
    const empty = emptySnapshot(name);
    const candidate = empty.apply("full", allItems(after, name), empty.position);
    findings.push(...newProblems(empty, candidate, touchedKeys(changes, name), after.segmentKeys(name)));
  }
  return unique(findings);
}

/**
 * What is malformed in a candidate and was not before, or is in what the write touches. What was malformed all along, such
 * as in an old data directory, must not stand in the way of other edits.
 */
function newProblems(
  current: Snapshot,
  candidate: Snapshot,
  touched: TouchedKeys,
  segmentKeys: readonly string[],
): Finding[] {
  const { environment } = candidate;
  const findings: Finding[] = [];
  for (const key of candidate.changedKeys) {
    const problems = candidate.flag(key)?.problems ?? [];
    if (problems.length === 0) continue;
    const before = current.flag(key);
    const isTouched = touched.flags.has(key) || touched.targetings.has(key);
    if (!isTouched && (before?.problems.length ?? 0) > 0) continue;
    for (const problem of problems) {
      const own = problem.field.startsWith("flag") ? touched.flags : touched.targetings;
      findings.push({ kind: "flag", key, environment, touched: own.has(key), ...problem });
    }
  }
  for (const key of segmentKeys) {
    const problems = candidate.segmentProblems(key);
    const isTouched = touched.segments.has(key);
    if (problems.length === 0 || (!isTouched && current.segmentProblems(key).length > 0)) continue;
    for (const problem of problems)
      findings.push({ kind: "segment", key, environment, touched: isTouched, ...problem });
  }
  return findings;
}

function checkRecord(record: Record, catalog: Catalog): Finding[] {
  const violations = new Violations();
  const { kind } = record;
  const found = (what: Finding["kind"], key: string, environment: string): Finding[] =>
    violations.list.map((violation) => ({ kind: what, key, environment, touched: true, ...violation }));
  switch (kind.case) {
    case "flag":
      checkFlag(kind.value, violations);
      return found("flag", kind.value.key, "");
    case "targeting": {
      const { flagKey, environment } = kind.value;
      checkTargeting(kind.value, catalog, violations);
      if (catalog.flag(flagKey) === undefined) {
        const wrong = flagKey === "" ? "is required" : `there is no flag ${JSON.stringify(flagKey)}`;
        violations.add("targeting.flag_key", wrong);
      }
      if (catalog.environment(environment) === undefined) {
        violations.add("targeting.environment", `there is no environment ${JSON.stringify(environment)}`);
      }
      return found("flag", flagKey, environment);
    }
    case "segment": {
      const { key, environment } = kind.value;
      checkSegment(kind.value, violations);
      if (catalog.environment(environment) === undefined) {
        violations.add("segment.environment", `there is no environment ${JSON.stringify(environment)}`);
      }
      return found("segment", key, environment);
    }
    case "environment":
      violations.key("environment.name", kind.value.name);
      violations.text("environment.description", kind.value.description, 4_096);
      return found("environment", kind.value.name, "");
    default:
      return [];
  }
}

/** Prerequisites, in settings that the changes do not touch, that name a flag or variant which the changes remove. */
function brokenPrerequisites(changes: readonly RecordChange[], before: Catalog, after: Catalog): Finding[] {
  const shrunk = new Set<string>();
  for (const { id } of changes) {
    const kind = before.record(id)?.kind;
    if (kind?.case !== "flag") continue;
    const variants = after.flag(kind.value.key)?.variants ?? {};
    if (Object.keys(kind.value.variants).some((name) => !Object.hasOwn(variants, name))) shrunk.add(kind.value.key);
  }
  if (shrunk.size === 0) return [];
  const touched = new Set(changes.map(({ id }) => id));
  const findings: Finding[] = [];
  for (const environment of after.environmentNames()) {
    for (const key of after.flagKeys()) {
      if (touched.has(`targeting/${environment}/${key}`)) continue;
      const targeting = after.targeting(environment, key);
      if (!targeting?.prerequisites.some(({ flagKey }) => shrunk.has(flagKey))) continue;
      const violations = new Violations();
      checkTargeting(targeting, after, violations);
      for (const violation of violations.list) {
        findings.push({ kind: "flag", key, environment, touched: false, ...violation });
      }
    }
  }
  return findings;
}

interface TouchedKeys {
  readonly flags: ReadonlySet<string>;
  readonly targetings: ReadonlySet<string>;
  readonly segments: ReadonlySet<string>;
}

function touchedKeys(changes: readonly RecordChange[], environment: string): TouchedKeys {
  const touched = { flags: new Set<string>(), targetings: new Set<string>(), segments: new Set<string>() };
  for (const { after } of changes) {
    const kind = after?.kind;
    if (kind?.case === "flag") touched.flags.add(kind.value.key);
    if (kind?.case === "targeting" && kind.value.environment === environment)
      touched.targetings.add(kind.value.flagKey);
    if (kind?.case === "segment" && kind.value.environment === environment) touched.segments.add(kind.value.key);
  }
  return touched;
}

/** A flag's own problems are found once in each environment; once is enough. */
function unique(findings: readonly Finding[]): Finding[] {
  const byText = new Map<string, Finding>();
  for (const finding of findings) {
    const where = finding.field.startsWith("flag") ? "" : finding.environment;
    const text = [finding.kind, finding.key, where, finding.field, finding.description].join("\n");
    if (!byText.has(text)) byText.set(text, finding);
  }
  return [...byText.values()];
}
