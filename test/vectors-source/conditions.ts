import { checkContexts } from "./check-match.js";
import { all, any, Draft, everyone, match, nobody, not } from "./draft.js";
import type { Context, JsonObject, VectorFile } from "./vector-file.js";

const has = (attribute: string, value = "x"): JsonObject => match("IN", [value], { attribute });

/** Every combination of `a`, `b` and `c` being `x`. */
const contexts: readonly Context[] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  ...(bits & 1 && { a: "x" }),
  ...(bits & 2 && { b: "x" }),
  ...(bits & 4 && { c: "x" }),
}));

type Holds = (a: boolean, b: boolean, c: boolean) => boolean;

const [a, b, c] = [has("a"), has("b"), has("c")];

const table: Readonly<Record<string, readonly [condition: JsonObject, holds: Holds]>> = {
  all: [all(a, b, c), (isA, isB, isC) => isA && isB && isC],
  any: [any(a, b, c), (isA, isB, isC) => isA || isB || isC],
  "all-of-none": [everyone, () => true],
  "any-of-none": [nobody, () => false],
  "all-of-one": [all(a), (isA) => isA],
  "any-of-one": [any(b), (_isA, isB) => isB],
  "not-not": [not(not(a)), (isA) => isA],
  "any-of-alls": [any(all(a, b), all(b, c)), (isA, isB, isC) => isB && (isA || isC)],
  "all-of-anys": [all(any(a, b), any(b, c)), (isA, isB, isC) => isB || (isA && isC)],
  "all-with-not": [all(a, not(b)), (isA, isB) => isA && !isB],
  "any-with-not": [any(a, not(b)), (isA, isB) => isA || !isB],
  "not-all": [not(all(a, b)), (isA, isB) => !isA || !isB],
  "not-any": [not(any(a, b)), (isA, isB) => !isA && !isB],
  "all-with-nobody": [all(a, nobody), () => false],
  "any-with-everyone": [any(a, everyone), () => true],
  "all-with-everyone": [all(everyone, a), (isA) => isA],
  "any-with-nobody": [any(nobody, a), (isA) => isA],
  "same-twice": [all(a, not(a)), () => false],
  // 32 levels: the negation that checkContexts adds is the first of them.
  deepest: [nested(30, a), (isA) => isA],
};

/** A condition under so many levels that change nothing. */
function nested(levels: number, condition: JsonObject): JsonObject {
  if (levels === 0) return condition;
  const inner = nested(levels - 1, condition);
  return levels % 2 === 0 ? all(everyone, inner) : any(inner, nobody);
}

/** Trees of conditions. */
export function conditions(): VectorFile {
  const draft = new Draft("co", "Trees of conditions: all, any, not, of none, nested.");
  for (const [name, [condition, holds]] of Object.entries(table)) {
    const isHeld = (context: Context) => holds(context.a === "x", context.b === "x", context.c === "x");
    checkContexts(draft, name, condition, {
      holds: contexts.filter(isHeld),
      fails: contexts.filter((context) => !isHeld(context)),
    });
  }
  // A match that does not hold for want of a fit attribute is false, so `not` is true; with EXISTS it is not.
  const isFree = has("plan", "free");
  checkContexts(draft, "not-missing", not(isFree), {
    holds: [{}, { plan: null }, { plan: 7 }, { plan: [] }, { plan: {} }, { plan: "pro" }, { plan: ["pro"] }],
    fails: [{ plan: "free" }, { plan: ["pro", "free"] }],
  });
  checkContexts(draft, "exists-and-not", all(match("EXISTS", [], { attribute: "plan" }), not(isFree)), {
    holds: [{ plan: 7 }, { plan: [] }, { plan: {} }, { plan: "pro" }],
    fails: [{}, { plan: null }, { plan: "free" }, { plan: ["free"] }],
  });
  return draft.finish();
}
