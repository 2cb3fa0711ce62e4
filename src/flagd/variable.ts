import type { JsonValue } from "@bufbuild/protobuf";
import { exists } from "./attribute-test.js";
import { type Cases, constantCases, onlyConstant } from "./cases.js";
import { ALWAYS } from "./formula.js";
import { quote } from "./json.js";
import type { Place } from "./place.js";
import type { Translator } from "./translator.js";

const MAX_NAME_LENGTH = 256;

/** `var`: an attribute, perhaps with a default, or one of flagd's own values. */
export function translateVariable(argument: JsonValue, place: Place, translator: Translator): Cases {
  const [name, fallback, ...more] = Array.isArray(argument) ? argument : [argument];
  const fail = (description: string): Cases => translator.refuse(place, description);
  if (typeof name !== "string" || name === "") {
    return fail("must name an attribute as text; the context as a whole cannot be compared");
  }
  if (more.length > 0) return fail("takes a name and at most one default");
  if (name === "$flagd.flagKey") return constantCases(translator.flagKey, place);
  if (name === "$flagd.timestamp") return [{ when: ALWAYS, term: { kind: "timestamp" }, place }];
  if (name === "$flagd" || name === "$now") return fail(`${name} is reserved`);
  const problem = nameProblem(name);
  if (problem !== undefined) return fail(problem);
  const isUnknown = name.startsWith("$flagd.");
  const attribute = (isPresent: boolean) => ({ kind: "attribute", name, isPresent }) as const;
  if (fallback === undefined || fallback === null) {
    return isUnknown ? constantCases(null, place) : [{ when: ALWAYS, term: attribute(false), place }];
  }
  const defaultPlace = place.element(1);
  const value = onlyConstant(translator.cases(fallback, defaultPlace));
  if (value === undefined) return translator.refuse(defaultPlace, "the default of var must be a constant");
  if (isUnknown) return constantCases(value, defaultPlace);
  return [{ when: exists(name), term: attribute(true), place }, ...constantCases(value, defaultPlace)];
}

function nameProblem(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `the attribute's name is longer than ${MAX_NAME_LENGTH} characters`;
  if (name.includes("\\")) return `${quote(name)} has a backslash, which flagd's evaluations read differently`;
  for (const step of name.split(".")) {
    if (step === "") return `${quote(name)} has an empty step`;
    if (/^\d+$/.test(step))
      return `${quote(name)} takes an element of a list by its position, which an attribute cannot`;
  }
  return undefined;
}
