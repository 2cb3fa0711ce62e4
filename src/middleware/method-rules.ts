import { compileFlagRule, type FlagRule, type FlagRuleOptions } from "./flag-rule.js";

/** The flag that a method requires. */
export interface RequiredFlag extends FlagRuleOptions {
  readonly key: string;
}

/** The flags that methods require, by `/package.Service/Method`: keys of boolean flags, or more precisely. */
export type RequiredFlags = Readonly<Record<string, string | RequiredFlag>>;

/** Throws a TypeError for what names no method, for a rule that is never asked would be open. */
export function compileMethodRules(required: RequiredFlags = {}): ReadonlyMap<string, FlagRule> {
  const rules = new Map<string, FlagRule>();
  for (const [method, flag] of Object.entries(required)) {
    if (!METHOD.test(method)) throw new TypeError(`requireFlags: ${method} must be like /package.Service/Method`);
    rules.set(method, typeof flag === "string" ? compileFlagRule(flag) : compileFlagRule(flag.key, flag));
  }
  return rules;
}

/** What a caller is told who may not call a method. It names no flag: flags are nobody's business outside. */
export function denialOf(method: string): string {
  return `${method} is not available to this caller`;
}

const METHOD = /^\/[^/\s]+\/[^/\s]+$/;
