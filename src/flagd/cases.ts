import type { JsonValue } from "@bufbuild/protobuf";
import { type HashInput, isInShare } from "./attribute-test.js";
import { ALWAYS, all, any, type Formula, not } from "./formula.js";
import type { Place } from "./place.js";

/** What an expression can be once its conditions are decided. */
export type Term =
  | { readonly kind: "constant"; readonly value: JsonValue }
  /** `isPresent`: known to be there and not null. */
  | { readonly kind: "attribute"; readonly name: string; readonly isPresent: boolean }
  /** `$flagd.timestamp`. */
  | { readonly kind: "timestamp" }
  | { readonly kind: "split"; readonly split: Split };

/** A `fractional` whose variants are constants. It only stands where there is something to hash. */
export interface Split {
  readonly input: HashInput;
  readonly totalWeight: number;
  readonly shares: readonly SplitShare[];
}

export interface SplitShare {
  readonly variant: JsonValue;
  readonly weight: number;
  readonly place: Place;
}

/** What an expression is where a condition holds and none of the cases before it does. */
export interface Case {
  readonly when: Formula;
  readonly term: Term;
  readonly place: Place;
}

/**
 * How many cases one expression may have. A rule of 256 branches with a few nested ones stays below; beyond, nesting
 * multiplies.
 */
export const MAX_CASES = 1_024;

/** An expression, as cases in order. The last always applies. */
export type Cases = readonly Case[];

export function constantCases(value: JsonValue, place: Place): Cases {
  return [{ when: ALWAYS, term: { kind: "constant", value }, place }];
}

/** The cases where `when` holds as well. What applies otherwise must follow. */
export function casesWhen(when: Formula, cases: Cases): Cases {
  return cases.map((c) => ({ ...c, when: all(when, c.when) }));
}

/** The value of an expression that is one constant; undefined for any other. */
export function onlyConstant(cases: Cases): JsonValue | undefined {
  const [only] = cases;
  return cases.length === 1 && only?.term.kind === "constant" ? only.term.value : undefined;
}

/** Whether something that depends on the term holds. Written side by side, not one inside the other: depth is limited. */
export function holdsFor(cases: Cases, test: (term: Term, place: Place) => Formula): Formula {
  const alternatives: Formula[] = [];
  let isUndecided: Formula = ALWAYS;
  for (const { when, term, place } of cases) {
    const holds = test(term, place);
    alternatives.push(all(isUndecided, when, holds));
    // Where this case makes the whole hold, a later one may do so as well.
    if (holds !== ALWAYS) isUndecided = all(isUndecided, not(when));
  }
  return any(...alternatives);
}

/** The same with every split written out as one case a share. */
export function withoutSplits(cases: Cases): Cases {
  return cases.flatMap((c) => (c.term.kind === "split" ? casesWhen(c.when, splitCases(c.term.split)) : [c]));
}

function splitCases({ input, totalWeight, shares }: Split): Cases {
  return shareCases(
    input,
    totalWeight,
    shares.map(({ variant, weight, place }) => ({ weight, cases: constantCases(variant, place) })),
  );
}

/** One case for each share that has a weight; the last applies to what is left. */
export function shareCases(
  input: HashInput,
  totalWeight: number,
  shares: readonly { readonly weight: number; readonly cases: Cases }[],
): Cases {
  const result: Case[] = [];
  let start = 0;
  for (const { weight, cases } of shares) {
    if (weight === 0) continue;
    const isLast = start + weight === totalWeight;
    result.push(...casesWhen(isLast ? ALWAYS : isInShare(input, start, weight, totalWeight), cases));
    start += weight;
  }
  return result;
}

/** Cases up to the first that always applies: what follows never does. */
export function untilAlways(cases: Cases): Cases {
  const last = cases.findIndex(({ when }) => when === ALWAYS);
  return last < 0 ? cases : cases.slice(0, last + 1);
}
