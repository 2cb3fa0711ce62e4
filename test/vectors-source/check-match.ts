import { type Draft, enabled, fellThrough, type MatchParts, match, matched, not, rule } from "./draft.js";
import type { Context, Json, JsonObject } from "./vector-file.js";

/** In place of an attribute's value: there is no such attribute. */
export const MISSING = Symbol("missing");

export type Sample = Json | typeof MISSING;

/** Values of the attribute `a` for which a match holds, and for which it does not. */
export interface Truth {
  readonly holds: readonly Sample[];
  readonly fails: readonly Sample[];
}

/** Adds a match and its negation, each in a flag of its own, with a case for each value of the attribute. */
export function checkMatch(draft: Draft, name: string, condition: JsonObject, { holds, fails }: Truth): void {
  checkContexts(draft, name, condition, { holds: holds.map(toContext), fails: fails.map(toContext) });
}

/** As checkMatch, for contexts. */
export function checkContexts(
  draft: Draft,
  name: string,
  condition: JsonObject,
  { holds, fails }: { readonly holds: readonly Context[]; readonly fails: readonly Context[] },
): void {
  const plain = draft.flag(name, enabled({ rules: [rule(condition)] }));
  const negated = draft.flag(`${name}-not`, enabled({ rules: [rule(not(condition))] }));
  for (const context of holds) {
    draft.answers(plain, context, matched());
    draft.answers(negated, context, fellThrough);
  }
  for (const context of fails) {
    draft.answers(plain, context, fellThrough);
    draft.answers(negated, context, matched());
  }
}

/** One row of a table of matches: an operator with its values, and what it holds for. */
export interface Row extends MatchParts, Truth {
  readonly name: string;
  readonly operator: string;
  readonly values: readonly Json[];
}

/** Adds rows of a table, each with its negation. */
export function checkRows(draft: Draft, rows: readonly Row[]): void {
  for (const { name, operator, values, holds, fails, ...parts } of rows) {
    checkMatch(draft, name, match(operator, values, parts), { holds, fails });
  }
}

/** Adds rows of a table of which others have the same samples already, without their negations. */
export function checkPlainRows(draft: Draft, rows: readonly Row[]): void {
  for (const { name, operator, values, holds, fails, ...parts } of rows) {
    const key = draft.flag(name, enabled({ rules: [rule(match(operator, values, parts))] }));
    for (const sample of holds) draft.answers(key, toContext(sample), matched());
    for (const sample of fails) draft.answers(key, toContext(sample), fellThrough);
  }
}

function toContext(sample: Sample): Context {
  return sample === MISSING ? {} : { a: sample as Json };
}
