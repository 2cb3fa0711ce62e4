/** Up to so many elements a list is shown whole. */
const MAX_SHOWN = 10;
/** Up to so many elements those that came and went are counted, where they are not texts to begin with. */
const MAX_COUNTED = 1_000;

/** Two lists, as JSON. */
export interface ListDifference {
  readonly before: string;
  readonly after: string;
}

/** How two lists of plain values differ; undefined where they do not. Long ones by how many came and went. */
export function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  text: (element: unknown) => string,
): ListDifference | undefined {
  const isOfTexts = (list: readonly unknown[]) => typeof list[0] === "string";
  const length = Math.max(before.length, after.length);
  if (length > MAX_SHOWN && (isOfTexts(before) || isOfTexts(after))) return countChanges(before, after);
  const [old, now] = [before.map(text), after.map(text)];
  if (same(old, now)) return undefined;
  if (length <= MAX_SHOWN) return { before: `[${old.join(",")}]`, after: `[${now.join(",")}]` };
  return length <= MAX_COUNTED
    ? countChanges(old, now)
    : { before: countText(old.length), after: countText(now.length) };
}

/** Such as `{"count":12,"removed":1}`. */
export function countText(count: number, changed: Readonly<Record<string, number | true>> = {}): string {
  return JSON.stringify({ count, ...changed });
}

function countChanges(before: readonly unknown[], after: readonly unknown[]): ListDifference | undefined {
  if (same(before, after)) return undefined;
  const removed = countMissing(before, after);
  const added = countMissing(after, before);
  const isReordered = removed === 0 && added === 0;
  return {
    before: countText(before.length, removed > 0 ? { removed } : {}),
    after: countText(after.length, { ...(added > 0 && { added }), ...(isReordered && { reordered: true }) }),
  };
}

function countMissing(some: readonly unknown[], others: readonly unknown[]): number {
  const known = new Set(others);
  let missing = 0;
  for (const element of some) if (!known.has(element)) missing++;
  return missing;
}

function same(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((element, place) => element === others[place]);
}
