import type { FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import { prerequisitesOf, segmentsOfCondition, segmentsOfTargeting } from "../../engine/index.js";
import type { Catalog } from "../state/catalog.js";
import type { Finding } from "../validate/change-set.js";
import { leftOutEnvironment, leftOutFlag, leftOutSegment } from "./import-draft.js";

/** An item of a file that is to blame for something. */
export interface Culprit {
  readonly kind: Finding["kind"];
  readonly key: string;
}

export function leftOutCulprit({ kind, key }: Culprit): string {
  if (kind === "flag") return leftOutFlag(key);
  return kind === "segment" ? leftOutSegment(key) : leftOutEnvironment(key);
}

/** What a file holds, to tell which of it is to blame. */
export class Culprits {
  readonly #items = new Set<string>();

  constructor(file: FlagFile) {
    for (const { key } of file.flags) this.#items.add(leftOutFlag(key));
    for (const { flagKey } of file.targetings) this.#items.add(leftOutFlag(flagKey));
    for (const { key } of file.segments) this.#items.add(leftOutSegment(key));
    for (const { name } of file.environments) this.#items.add(leftOutEnvironment(name));
  }

  /** The item that a finding is about, if it is the file's. */
  ownOf({ kind, key }: Finding): Culprit | undefined {
    return this.#has({ kind, key }) ? { kind, key } : undefined;
  }

  /**
   * The items of the file that a finding about something else comes from: the prerequisite that it names, else the nearest
   * of all the flags and segments that it depends on in `catalog`, which is the state with the file.
   */
  causesOf(finding: Finding, catalog: Catalog): readonly Culprit[] {
    const { environment } = finding;
    const named = namedPrerequisite(finding, catalog);
    if (named !== undefined && this.#has(named)) return [named];
    const seen = new Set<string>();
    let nearest: readonly Culprit[] = [finding];
    while (nearest.length > 0) {
      const next = new Map<string, Culprit>();
      for (const used of nearest.flatMap((user) => usedBy(user, environment, catalog))) {
        const name = leftOutCulprit(used);
        if (!seen.has(name)) next.set(name, used);
        seen.add(name);
      }
      nearest = [...next.values()];
      const causes = nearest.filter((used) => this.#has(used));
      if (causes.length > 0) return causes;
    }
    return [];
  }

  #has(item: Culprit): boolean {
    return this.#items.has(leftOutCulprit(item));
  }
}

function namedPrerequisite({ kind, key, environment, field }: Finding, catalog: Catalog): Culprit | undefined {
  const index = /^targeting\.prerequisites\[(\d+)\]/.exec(field)?.[1];
  if (kind !== "flag" || index === undefined) return undefined;
  const prerequisite = catalog.targeting(environment, key)?.prerequisites[Number(index)];
  return prerequisite && { kind: "flag", key: prerequisite.flagKey };
}

/** The flags and segments that a flag or segment uses directly. */
function usedBy({ kind, key }: Culprit, environment: string, catalog: Catalog): readonly Culprit[] {
  const targeting = kind === "flag" ? catalog.targeting(environment, key) : undefined;
  const segments =
    kind === "segment"
      ? segmentsOfCondition(catalog.segment(environment, key)?.condition)
      : segmentsOfTargeting(targeting);
  return [
    ...[...prerequisitesOf(targeting)].map((flagKey): Culprit => ({ kind: "flag", key: flagKey })),
    ...[...segments].map((segmentKey): Culprit => ({ kind: "segment", key: segmentKey })),
  ];
}
