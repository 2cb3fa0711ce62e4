import type { Catalog } from "../state/catalog.js";

/** The revision that last changed a flag or its settings in an environment; 0 where there is none. */
export function settingsRevisionOf(catalog: Catalog, environment: string, flagKey: string): bigint {
  const flag = catalog.flag(flagKey)?.revision ?? 0n;
  const targeting = catalog.targeting(environment, flagKey)?.revision ?? 0n;
  return flag > targeting ? flag : targeting;
}
