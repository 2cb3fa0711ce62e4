import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { RolloutAlgorithm, type Share, ShareSchema } from "../../gen/flagwire/v1/rollout_pb.js";
import { type Rule, RuleSchema, type Serve, ServeSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { toBucketing } from "./attribute-test.js";
import { type Case, type Cases, type Split, withoutSplits } from "./cases.js";
import { ExpressionTranslator } from "./expression-translator.js";
import type { Findings } from "./findings.js";
import { ALWAYS, all, type Formula, measure, not, toCondition } from "./formula.js";
import { isJsonObject, quote } from "./json.js";
import type { Place } from "./place.js";

const MAX_RULES = 256;
const MAX_CONDITION_DEPTH = 32;
const MAX_CONDITION_NODES = 4_096;

/** What a flag's targeting is translated with. */
export interface TargetingScope {
  readonly flagKey: string;
  readonly variants: ReadonlySet<string>;
  /** The file's `$evaluators`. */
  readonly evaluators: JsonObject;
  readonly findings: Findings;
}

/**
 * Translates a flag's `targeting` to rules. Where it is null there is no rule, so that the default answers as it does in
 * flagd.
 */
export function fromTargeting(targeting: JsonValue, place: Place, scope: TargetingScope): Rule[] {
  if (isJsonObject(targeting) && Object.keys(targeting).length === 0) return [];
  const translator = new ExpressionTranslator(scope.flagKey, scope.evaluators, scope.findings);
  const cases = withoutTrailingNulls(servable(translator.cases(targeting, place)));
  const ruleCount = cases.filter((c) => !isNull(c)).length;
  if (ruleCount > MAX_RULES) {
    scope.findings.refuse(place, `needs ${ruleCount} rules; a flag has at most ${MAX_RULES}`);
    return [];
  }
  const rules: Rule[] = [];
  // No rule can serve "the default", so where the result is null no later rule may match.
  let isUndecided: Formula = ALWAYS;
  for (const found of cases) {
    if (isNull(found)) {
      isUndecided = all(isUndecided, not(found.when));
      continue;
    }
    const when = all(isUndecided, found.when);
    const serve = toServe(found, scope);
    if (serve === undefined || !fits(when, found.place, scope.findings)) continue;
    rules.push(create(RuleSchema, { id: `rule-${rules.length + 1}`, condition: toCondition(when), serve }));
  }
  return rules;
}

function isNull({ term }: Case): boolean {
  return term.kind === "constant" && term.value === null;
}

function withoutTrailingNulls(cases: Cases): Cases {
  return cases.slice(0, cases.findLastIndex((c) => !isNull(c)) + 1);
}

/** A rollout has no share that serves nothing; one with a null variant becomes a condition for each share. */
function servable(cases: Cases): Cases {
  return cases.flatMap((c) => {
    const hasNull = c.term.kind === "split" && c.term.split.shares.some(({ variant }) => variant === null);
    return hasNull ? withoutSplits([c]) : [c];
  });
}

function toServe({ term, place }: Case, scope: TargetingScope): Serve | undefined {
  switch (term.kind) {
    case "constant": {
      const variant = toVariant(term.value, place, scope);
      return variant === undefined ? undefined : create(ServeSchema, { kind: { case: "variant", value: variant } });
    }
    case "split":
      return toRollout(term.split, scope);
    case "attribute":
      scope.findings.refuse(place, "takes the variant's name from the context; a rule serves a variant that it names");
      return undefined;
    case "timestamp":
      scope.findings.refuse(place, "is no variant");
      return undefined;
  }
}

function toRollout(split: Split, scope: TargetingScope): Serve {
  const shares: Share[] = [];
  for (const { variant, weight, place } of split.shares) {
    // flagd never looks at the variant of an entry that nobody gets.
    if (weight === 0 && !scope.variants.has(String(variant))) continue;
    const name = toVariant(variant, place, scope);
    if (name !== undefined) shares.push(create(ShareSchema, { variant: name, weight }));
  }
  const value = { shares, ...toBucketing(split.input), algorithm: RolloutAlgorithm.MURMUR3_32 };
  return create(ServeSchema, { kind: { case: "rollout", value } });
}

/** The variant that a result names: booleans and numbers name the variant that is spelled like them. */
function toVariant(value: JsonValue, place: Place, scope: TargetingScope): string | undefined {
  if (typeof value === "object") {
    scope.findings.refuse(place, `${quote(value)} is no variant`);
    return undefined;
  }
  const name = String(value);
  if (scope.variants.has(name)) return name;
  scope.findings.refuse(place, `the flag has no variant ${quote(name)}`);
  return undefined;
}

function fits(formula: Formula, place: Place, findings: Findings): boolean {
  const { nodes, depth } = measure(formula);
  if (nodes <= MAX_CONDITION_NODES && depth <= MAX_CONDITION_DEPTH) return true;
  findings.refuse(
    place,
    `needs a condition of ${nodes} nodes and ${depth} levels; at most ${MAX_CONDITION_NODES} and ${MAX_CONDITION_DEPTH} are possible`,
  );
  return false;
}
