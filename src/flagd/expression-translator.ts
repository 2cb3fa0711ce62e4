import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import {
  type Case,
  type Cases,
  casesWhen,
  constantCases,
  holdsFor,
  MAX_CASES,
  onlyConstant,
  untilAlways,
  withoutSplits,
} from "./cases.js";
import { Comparisons } from "./comparison.js";
import type { Findings } from "./findings.js";
import { ALWAYS, all, any, type Formula, NEVER, not } from "./formula.js";
import { translateFractional } from "./fractional.js";
import { isJsonObject, ownMember, quote } from "./json.js";
import { MAX_DEPTH, type Place } from "./place.js";
import { isTestOperator, translateTest } from "./test-operator.js";
import type { Translator } from "./translator.js";
import { translateVariable } from "./variable.js";

const TOO_MANY_CASES = `branches into more than ${MAX_CASES} cases`;

/** Translates the JsonLogic of one flag. Whatever cannot be translated is refused in `findings`, and work goes on. */
export class ExpressionTranslator implements Translator {
  readonly comparisons: Comparisons;
  readonly #evaluators: JsonObject;

  constructor(
    readonly flagKey: string,
    evaluators: JsonObject,
    readonly findings: Findings,
  ) {
    this.#evaluators = evaluators;
    this.comparisons = new Comparisons(findings);
  }

  refuse(place: Place, description: string): Cases {
    this.findings.refuse(place, description);
    return constantCases(null, place);
  }

  resolve(expression: JsonValue, place: Place): readonly [JsonValue, Place] {
    if (!isJsonObject(expression) || Object.keys(expression).length !== 1) return [expression, place];
    const name = ownMember(expression, "$ref");
    if (name === undefined) return [expression, place];
    const target = typeof name === "string" ? ownMember(this.#evaluators, name) : undefined;
    if (typeof name !== "string" || target === undefined) {
      this.findings.refuse(place.member("$ref"), `there is no evaluator ${quote(name)}`);
      return [null, place];
    }
    if (place.isShared) {
      this.findings.refuse(place.member("$ref"), "flagd resolves no references inside evaluators");
      return [null, place];
    }
    return [target, place.evaluator(name)];
  }

  cases(expression: JsonValue, place: Place): Cases {
    if (place.depth > MAX_DEPTH) return this.refuse(place, `is nested more than ${MAX_DEPTH} levels deep`);
    const [resolved, at] = this.resolve(expression, place);
    if (Array.isArray(resolved)) return this.#listCases(resolved, at);
    if (!isJsonObject(resolved)) return constantCases(resolved, at);
    const [operator, ...others] = Object.keys(resolved);
    if (operator === undefined) return this.refuse(at, "is an empty object where an expression is expected");
    if (others.length > 0) return this.refuse(at, `has ${others.length + 1} members where an operation has one`);
    return this.#operationCases(operator, resolved[operator] ?? null, at.member(operator));
  }

  truth(expression: JsonValue, place: Place): Formula {
    const [resolved, at] = this.resolve(expression, place);
    if (isJsonObject(resolved) && Object.keys(resolved).length === 1 && at.depth <= MAX_DEPTH) {
      const [operator = ""] = Object.keys(resolved);
      const argument = resolved[operator] ?? null;
      const inside = at.member(operator);
      if ((operator === "and" || operator === "or") && Array.isArray(argument) && argument.length > 0) {
        const parts = argument.map((part, index) => this.truth(part, inside.element(index)));
        return operator === "and" ? all(...parts) : any(...parts);
      }
      if (isTestOperator(operator)) return translateTest(operator, argument, inside, this).holds;
    }
    return holdsFor(withoutSplits(this.cases(resolved, at)), (term, p) => this.comparisons.truthy(term, p));
  }

  #operationCases(operator: string, argument: JsonValue, place: Place): Cases {
    if (isTestOperator(operator)) {
      const { holds, known } = translateTest(operator, argument, place, this);
      const decided = [...casesIf(holds, true, place), ...casesIf(known, false, place)];
      return untilAlways([...decided, ...constantCases(null, place)]);
    }
    switch (operator) {
      case "var":
        return translateVariable(argument, place, this);
      case "if":
        return this.#ifCases(argument, place);
      case "and":
      case "or":
        return this.#logicCases(operator, argument, place);
      case "fractional":
        return translateFractional(argument, place, this);
      case "cat":
        return this.#constantCat(argument, place);
      default:
        return this.refuse(place, `the operator ${quote(operator)} cannot be expressed`);
    }
  }

  #ifCases(argument: JsonValue, place: Place): Cases {
    if (!Array.isArray(argument)) return this.refuse(place, "must be a list");
    const result: Case[] = [];
    for (let index = 0; index < argument.length; index += 2) {
      const isElse = index === argument.length - 1;
      const branch = isElse ? index : index + 1;
      const refusals = this.findings.refused.length;
      const when = isElse ? ALWAYS : this.truth(argument[index] ?? null, place.element(index));
      // A branch that can never be taken may hold what cannot be expressed; one whose condition was refused is looked at.
      if (when === NEVER && this.findings.refused.length === refusals) continue;
      result.push(...casesWhen(when, this.cases(argument[branch] ?? null, place.element(branch))));
      if (result.length > MAX_CASES) return this.refuse(place, TOO_MANY_CASES);
      if (when === ALWAYS) return result;
    }
    return [...result, ...constantCases(null, place)];
  }

  // `and` is its first falsy argument or its last; `or` its first truthy one or its last.
  #logicCases(operator: "and" | "or", argument: JsonValue, place: Place): Cases {
    if (!Array.isArray(argument)) return this.refuse(place, "must be a list");
    if (argument.length === 0) return constantCases(null, place);
    let result: Cases = [];
    for (const [index, part] of [...argument.entries()].reverse()) {
      const cases = this.cases(part, place.element(index));
      if (result.length === 0) {
        result = cases;
        continue;
      }
      const rest = result;
      const firsts = withoutSplits(cases);
      if (firsts.length * rest.length > MAX_CASES) return this.refuse(place, TOO_MANY_CASES);
      result = untilAlways(
        firsts.flatMap((c) => {
          const truthy = this.comparisons.truthy(c.term, c.place);
          const goesOn = all(c.when, operator === "and" ? truthy : not(truthy));
          return goesOn === NEVER ? [c] : [...casesWhen(goesOn, rest), c];
        }),
      );
    }
    return result;
  }

  #listCases(list: readonly JsonValue[], place: Place): Cases {
    const values: JsonValue[] = [];
    for (const [index, element] of list.entries()) {
      const value = onlyConstant(this.cases(element, place.element(index)));
      if (value === undefined) return this.refuse(place.element(index), "a list may hold constants only");
      values.push(value);
    }
    return constantCases(values, place);
  }

  #constantCat(argument: JsonValue, place: Place): Cases {
    let text = "";
    for (const [index, part] of (Array.isArray(argument) ? argument : [argument]).entries()) {
      const value = onlyConstant(this.cases(part, Array.isArray(argument) ? place.element(index) : place));
      if (value === undefined || (typeof value === "object" && value !== null)) {
        return this.refuse(place, "cat with a value of the context can only be what fractional hashes");
      }
      text += value ?? "";
    }
    return constantCases(text.trim(), place);
  }
}

function casesIf(when: Formula, value: boolean, place: Place): Cases {
  return when === NEVER ? [] : casesWhen(when, constantCases(value, place));
}
