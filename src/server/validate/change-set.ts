import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { emptySnapshot, type Problem, type Snapshot } from "../../engine/index.js";
import { flagId, type RecordChange, segmentId, targetingId } from "../../store/index.js";
import { contractLimits } from "../limits.js";
import type { Catalog } from "../state/catalog.js";
import { type Candidate, changedSources, compileChanges } from "../state/compile-changes.js";
import type { Head } from "../state/head.js";
import type { ChangedRecord } from "../state/watch-items.js";
import { checkEnvironment } from "./environment.js";
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

/** What changes are checked against: the records and, compiled, the environments at one revision. */
export type CheckedState = Pick<Head, "catalog" | "snapshot">;

/**
 * Everything that is wrong with what some changes would lead to; empty if they may be made. In steps, between which `state`
 * must stay as it is.
 */
export function* checkChanges(
  state: CheckedState,
  changes: readonly RecordChange[],
): Generator<undefined, readonly Finding[], undefined> {
  const before = state.catalog;
  const after = before.with(changes);
  const findings = new Findings();
  for (const { after: record } of changes) {
    if (record) findings.add(checkRecord(record, after));
    yield;
  }
  yield* brokenPrerequisites(changes, before, after, findings);
  const changed = changes.map(({ id, after: record }) => ({ before: before.record(id), after: record }));
  for (const name of after.environmentNames()) {
    const known = state.snapshot(name);
    const current = known ?? emptySnapshot(name);
    const sources = known ? changedSources(changed, name) : allSources(after, name);
    if (known !== undefined && sources.length === 0) continue;
    const touched = touchedKeys(changes, name);
    const candidate = yield* compileChanges(current, sources, after);
    yield* newProblems({ current, ...candidate, touched }, after.segmentKeys(name), findings);
  }
  return findings.unique();
}

/** One record for each flag and segment of an environment. */
function allSources(catalog: Catalog, environment: string): readonly ChangedRecord[] {
  const flags = catalog.flagKeys().map((key) => ({ after: catalog.record(flagId(key)) }));
  const segments = catalog
    .segmentKeys(environment)
    .map((key) => ({ after: catalog.record(segmentId(environment, key)) }));
  return [...flags, ...segments];
}

/** One environment before and after. */
interface Comparison extends Candidate {
  readonly current: Snapshot;
  readonly touched: TouchedKeys;
}

/**
 * What is malformed in a candidate and was not before, or is in what the write touches. What was malformed all along, such
 * as in an old data directory, must not stand in the way of other edits.
 */
function* newProblems(
  { current, candidate, concerned, touched }: Comparison,
  segmentKeys: readonly string[],
  findings: Findings,
): Generator<undefined, void, undefined> {
  const { environment } = candidate;
  for (const key of concerned) {
    yield;
    const problems = candidate.flag(key)?.problems ?? [];
    if (problems.length === 0) continue;
    const before = current.flag(key);
    const isTouched = touched.flags.has(key) || touched.targetings.has(key);
    if (!isTouched && (before?.problems.length ?? 0) > 0) continue;
    const isOwn = ({ field }: Problem) => (field.startsWith("flag") ? touched.flags : touched.targetings).has(key);
    findings.add(problems.map((problem) => ({ kind: "flag", key, environment, touched: isOwn(problem), ...problem })));
  }
  for (const key of segmentKeys) {
    yield;
    const problems = candidate.segmentProblems(key);
    const isTouched = touched.segments.has(key);
    if (problems.length === 0 || (!isTouched && current.segmentProblems(key).length > 0)) continue;
    findings.add(problems.map((problem) => ({ kind: "segment", key, environment, touched: isTouched, ...problem })));
  }
}

function checkRecord(record: Record, catalog: Catalog): Finding[] {
  const violations = new Violations();
  const { kind } = record;
  const found = (what: Finding["kind"], key: string, environment: string): Finding[] =>
    violations.list.map((violation) => ({ kind: what, key, environment, touched: true, ...violation }));
  switch (kind.case) {
    case "flag":
      checkFlag(kind.value, violations);
      violations.size("flag", sizeOf(FlagSchema, kind.value), contractLimits.flagBytes);
      return found("flag", kind.value.key, "");
    case "targeting": {
      const { flagKey, environment } = kind.value;
      checkTargeting(kind.value, catalog, violations);
      violations.size("targeting", sizeOf(TargetingSchema, kind.value), contractLimits.targetingBytes);
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
      checkEnvironment(kind.value, violations);
      return found("environment", kind.value.name, "");
    default:
      return [];
  }
}

/** Prerequisites, in settings that the changes do not touch, that name a flag or variant which the changes remove. */
function* brokenPrerequisites(
  changes: readonly RecordChange[],
  before: Catalog,
  after: Catalog,
  findings: Findings,
): Generator<undefined, void, undefined> {
  const shrunk = new Set<string>();
  for (const { id } of changes) {
    const kind = before.record(id)?.kind;
    if (kind?.case !== "flag") continue;
    const variants = after.flag(kind.value.key)?.variants ?? {};
    if (Object.keys(kind.value.variants).some((name) => !Object.hasOwn(variants, name))) shrunk.add(kind.value.key);
  }
  if (shrunk.size === 0) return;
  const touched = new Set(changes.map(({ id }) => id));
  for (const environment of after.environmentNames()) {
    for (const key of after.flagKeys()) {
      yield;
      if (touched.has(targetingId(environment, key))) continue;
      const targeting = after.targeting(environment, key);
      if (!targeting?.prerequisites.some(({ flagKey }) => shrunk.has(flagKey))) continue;
      const violations = new Violations();
      checkTargeting(targeting, after, violations);
      findings.add(violations.list.map((v) => ({ kind: "flag", key, environment, touched: false, ...v })));
    }
  }
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

/** Collects findings. A flag's own problems are found once in each environment; once is enough. */
class Findings {
  readonly #byText = new Map<string, Finding>();

  add(findings: readonly Finding[]): void {
    for (const finding of findings) {
      const where = finding.field.startsWith("flag") ? "" : finding.environment;
      const text = [finding.kind, finding.key, where, finding.field, finding.description].join("\n");
      if (!this.#byText.has(text)) this.#byText.set(text, finding);
    }
  }

  unique(): readonly Finding[] {
    return [...this.#byText.values()];
  }
}

function sizeOf<D extends DescMessage>(schema: D, message: MessageShape<D>): number {
  return toBinary(schema, message).length;
}
