import { flagId, targetingId } from "../../store/index.js";
import type { Head } from "../state/head.js";

/**
 * The revision that had last changed a flag or its settings in an environment when `revision` was the head's; 0 where there
 * were none. Later than `revision`: that of now, because what was then is not known any more.
 */
export function settingsRevisionAt(
  { catalog, formerRevisions }: Pick<Head, "catalog" | "formerRevisions">,
  environment: string,
  flagKey: string,
  revision: bigint,
): bigint {
  const flag = catalog.flag(flagKey)?.revision ?? 0n;
  const targeting = catalog.targeting(environment, flagKey)?.revision ?? 0n;
  const now = larger(flag, targeting);
  if (now <= revision) return now;
  const flagThen = flag <= revision ? flag : formerRevisions.at(flagId(flagKey), revision);
  const targetingThen =
    targeting <= revision ? targeting : formerRevisions.at(targetingId(environment, flagKey), revision);
  return flagThen === undefined || targetingThen === undefined ? now : larger(flagThen, targetingThen);
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
