import type { Choice, CompiledRule, SelectOutcome } from "./compiled-flag.js";
import type { Context } from "./context.js";
import { type LookUp, lookUpOf } from "./look-up.js";
import type { CountedOutcome } from "./outcome.js";

/** The outcome of the first rule that holds; undefined where none does. Never throws. */
type SelectByRules = (context: Context, now: number) => CountedOutcome | undefined;

/** Selects by the first rule that holds, or else by `fallback`. The usual shapes have no layer that they do not need. */
export function selectByRules(rules: readonly CompiledRule[], fallback: Choice): SelectOutcome {
  const [rule, ...otherRules] = rules;
  if (rule === undefined) return fallback.select;
  if (otherRules.length === 0) return selectByRule(rule, fallback);
  const { select } = fallback;
  const [run, ...otherRuns] = toRuns(rules).map(compileRun);
  if (run !== undefined && otherRuns.length === 0) return (context, now) => run(context, now) ?? select(context, now);
  const runs = run === undefined ? otherRuns : [run, ...otherRuns];
  return (context, now) => {
    for (const one of runs) {
      const outcome = one(context, now);
      if (outcome !== undefined) return outcome;
    }
    return select(context, now);
  };
}

function selectByRule({ condition: { test }, serve }: CompiledRule, fallback: Choice): SelectOutcome {
  const { constant, select } = serve;
  const { constant: other, select: selectOther } = fallback;
  if (constant !== undefined && other !== undefined) return (context, now) => (test(context, now) ? constant : other);
  return (context, now) => (test(context, now) ? select(context, now) : selectOther(context, now));
}

/** A rule that only looks an attribute up among values. */
interface RuleLookUp extends LookUp {
  readonly rule: CompiledRule;
}

/** Rules that follow each other: look-ups that share their attributes, or any rules. */
type Run =
  | { readonly kind: "table"; readonly lookUps: readonly RuleLookUp[] }
  | { readonly kind: "others"; readonly rules: CompiledRule[] };

/** A table holds the values of its rules once more, so rules with very many stay out of it. */
const MAX_VALUES_IN_TABLE = 1_000;

function toRuns(rules: readonly CompiledRule[]): Run[] {
  const runs: Run[] = [];
  let lookUps: RuleLookUp[] = [];
  const endLookUps = (): void => {
    if (paysAsTable(lookUps)) runs.push({ kind: "table", lookUps });
    else for (const { rule } of lookUps) addOther(runs, rule);
    lookUps = [];
  };
  for (const rule of rules) {
    const lookUp = toLookUp(rule);
    if (lookUp !== undefined) {
      lookUps.push(lookUp);
      continue;
    }
    endLookUps();
    addOther(runs, rule);
  }
  endLookUps();
  return runs;
}

function addOther(runs: Run[], rule: CompiledRule): void {
  const last = runs.at(-1);
  if (last?.kind === "others") last.rules.push(rule);
  else runs.push({ kind: "others", rules: [rule] });
}

/** Each attribute is read and looked up once, so it must serve several rules. */
function paysAsTable(lookUps: readonly RuleLookUp[]): boolean {
  return lookUps.length > new Set(lookUps.map(({ attribute }) => attribute)).size;
}

function toLookUp(rule: CompiledRule): RuleLookUp | undefined {
  const lookUp = lookUpOf(rule.condition);
  return lookUp === undefined || lookUp.members.size > MAX_VALUES_IN_TABLE ? undefined : { rule, ...lookUp };
}

function compileRun(run: Run): SelectByRules {
  return run.kind === "table" ? selectByTable(run.lookUps) : selectInOrder(run.rules);
}

function selectInOrder(rules: readonly CompiledRule[]): SelectByRules {
  const tests = rules.map(({ condition }) => condition.test);
  const selects = rules.map(({ serve }) => serve.select);
  return (context, now) => {
    for (let index = 0; index < tests.length; index++) {
      if (tests[index]?.(context, now)) return selects[index]?.(context, now);
    }
    return undefined;
  };
}

/**
 * Looks each attribute up in one table of all its values, which tells the first rule that has it; the first rule of all
 * attributes decides. Where an attribute is a list, or its value is not the context's own, the rules are asked in order.
 */
function selectByTable(lookUps: readonly RuleLookUp[]): SelectByRules {
  const byAttribute = new Map<string, Map<unknown, number>>();
  for (const [index, { attribute, members }] of lookUps.entries()) {
    const table = byAttribute.get(attribute) ?? new Map<unknown, number>();
    byAttribute.set(attribute, table);
    for (const member of members) if (!table.has(member)) table.set(member, index);
  }
  const attributes = [...byAttribute.keys()];
  const tables = [...byAttribute.values()];
  const rules = lookUps.map(({ rule }) => rule);
  const inOrder = selectInOrder(rules);
  return (context, now) => {
    let first = rules.length;
    for (let at = 0; at < attributes.length; at++) {
      const value = context[attributes[at] ?? ""];
      if (typeof value === "object" && value !== null) return inOrder(context, now);
      const index = tables[at]?.get(value);
      if (index !== undefined && index < first) first = index;
    }
    const rule = rules[first];
    if (rule === undefined) return undefined;
    return rule.condition.test(context, now) ? rule.serve.select(context, now) : inOrder(context, now);
  };
}
