import type { Snapshot } from "../../engine/index.js";
import type { Catalog } from "./catalog.js";
import { type ChangedRecord, changedItems } from "./watch-items.js";

/** What an environment would be after some changes. */
export interface Candidate {
  readonly candidate: Snapshot;
  /** The flags that may answer differently. */
  readonly concerned: ReadonlySet<string>;
}

/** How many flags and segments are compiled in one step. */
const ITEMS_PER_STEP = 1_000;

/** Compiles what some changes lead to in the environment of a snapshot. `after` is the catalog with all of them. */
export function* compileChanges(
  current: Snapshot,
  sources: readonly ChangedRecord[],
  after: Catalog,
): Generator<undefined, Candidate, undefined> {
  const { environment, position } = current;
  const concerned = new Set<string>();
  let candidate = current;
  // In parts: what one part needs of a later one is compiled anew with that.
  for (let from = 0; from < sources.length; from += ITEMS_PER_STEP) {
    const part = sources.slice(from, from + ITEMS_PER_STEP);
    candidate = candidate.apply("delta", changedItems(after, [environment], part).get(environment) ?? [], position);
    for (const key of candidate.changedKeys) concerned.add(key);
    yield;
  }
  return { candidate, concerned };
}

/** One changed record for each flag and segment of an environment that some changes touch. */
export function changedSources(changed: readonly ChangedRecord[], environment: string): readonly ChangedRecord[] {
  const sources = new Map<string, ChangedRecord>();
  for (const record of changed) {
    const kind = (record.after ?? record.before)?.kind;
    if (kind?.case === "flag") sources.set(`flag ${kind.value.key}`, record);
    if (kind?.case === "targeting" && kind.value.environment === environment)
      sources.set(`flag ${kind.value.flagKey}`, record);
    if (kind?.case === "segment" && kind.value.environment === environment)
      sources.set(`segment ${kind.value.key}`, record);
  }
  return [...sources.values()];
}
