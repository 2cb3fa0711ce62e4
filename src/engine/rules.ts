import type { Choice, CompiledRule, SelectOutcome } from "./compiled-flag.js";
import { type LookUp, lookUpOf } from "./look-up.js";

/** Selects by the first rule that holds, or else by `fallback`. The usual shapes have no layer that they do not need. */
export function selectByRules(rules: readonly CompiledRule[], fallback: Choice): SelectOutcome {
  const [rule, ...others] = rules;
  if (rule !== undefined && others.length === 0) return selectByRule(rule, fallback);
  return toRuns(rules).reduceRight((otherwise, run) => selectByRun(run, otherwise), fallback.select);
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

function selectByRun(run: Run, otherwise: SelectOutcome): SelectOutcome {
  return run.kind === "table" ? selectByTable(run.lookUps, otherwise) : selectInOrder(run.rules, otherwise);
}

function selectInOrder(rules: readonly CompiledRule[], otherwise: SelectOutcome): SelectOutcome {
  const steps = rules.map(({ condition: { test }, serve: { select } }) => ({ test, select }));
  return (context, now) => {
    for (const { test, select } of steps) if (test(context, now)) return select(context, now);
    return otherwise(context, now);
  };
}

/**
 * Looks each attribute up in one table of all its values, which tells the first rule that has it; the first rule of all
 * attributes decides. Where an attribute is a list, or its value is not the context's own, the rules are asked in order.
 */
function selectByTable(lookUps: readonly RuleLookUp[], otherwise: SelectOutcome): SelectOutcome {
  const rules = lookUps.map(({ rule }) => rule);
  const tables = toTables(lookUps);
  const inOrder = selectInOrder(rules, otherwise);
  const none = rules.length;
  return (context, now) => {
    let first = none;
    for (const { attribute, firstRules, sketch } of tables) {
      const value = context[attribute];
      if (typeof value === "string" && (sketch & bitOf(value)) === 0) continue;
      if (typeof value === "object" && value !== null) return inOrder(context, now);
      const index = firstRules.get(value);
      if (index !== undefined && index < first) first = index;
    }
    const rule = rules[first];
    if (rule === undefined) return otherwise(context, now);
    return rule.condition.test(context, now) ? rule.serve.select(context, now) : inOrder(context, now);
  };
}

/** The values that rules look one attribute up among, with the index of the first rule that has each. */
interface Table {
  readonly attribute: string;
  readonly firstRules: ReadonlyMap<unknown, number>;
  /** The bits of all texts among the values: most texts that are not among them are told without a look-up. */
  readonly sketch: number;
}

function toTables(lookUps: readonly RuleLookUp[]): Table[] {
  const byAttribute = new Map<string, Map<unknown, number>>();
  for (const [index, { attribute, members }] of lookUps.entries()) {
    const firstRules = byAttribute.get(attribute) ?? new Map<unknown, number>();
    byAttribute.set(attribute, firstRules);
    for (const member of members) if (!firstRules.has(member)) firstRules.set(member, index);
  }
  return [...byAttribute].map(([attribute, firstRules]) => ({
    attribute,
    firstRules,
    sketch: sketchOf(firstRules.keys()),
  }));
}

function sketchOf(values: Iterable<unknown>): number {
  let sketch = 0;
  for (const value of values) if (typeof value === "string") sketch |= bitOf(value);
  return sketch;
}

/** One of 32 bits, by what is read of a text at once. */
function bitOf(text: string): number {
  return 1 << ((text.charCodeAt(0) + text.length) & 31);
}
