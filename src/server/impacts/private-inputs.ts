import { PrivateAttributes, type Snapshot, usedAttributes } from "../../engine/index.js";

/** The private attributes of an environment that a flag's answers depend on, without or with some changes; sorted. */
export function privateInputs(
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  flagKey: string,
): readonly string[] {
  const names = new Set([...before.privateAttributes, ...after.privateAttributes]);
  if (names.size === 0) return [];
  const used = new Set<string>();
  for (const snapshot of [before, after]) {
    const flag = snapshot.flag(flagKey);
    if (flag !== undefined) for (const name of usedAttributes(flag)) used.add(name);
  }
  return [...names].filter((name) => isAmong(used, name)).sort();
}

/** Whether an attribute, something inside it, or something that it is inside of, is used. */
function isAmong(used: ReadonlySet<string>, name: string): boolean {
  const named = new PrivateAttributes([name]);
  for (const attribute of used) if (named.has(attribute)) return true;
  return false;
}
