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
  if (typeof required !== "object" || required === null || Symbol.iterator in required) {
    throw new TypeError("requireFlags must be an object, from methods to flags");
  }
  for (const [method, flag] of Object.entries(required)) {
    if (!METHOD.test(method)) throw new TypeError(`requireFlags: ${method} must be like /package.Service/Method`);
    if (typeof flag !== "string" && typeof flag?.key !== "string") {
      throw new TypeError(`requireFlags: ${method} must have the key of a flag, or an object with one`);
    }
    rules.set(method, typeof flag === "string" ? compileFlagRule(flag) : compileFlagRule(flag.key, flag));
  }
  return rules;
}

/** What is wrong with the rules for a service, of whose methods they name some that it does not have; undefined if nothing is. */
export function problemOfService(
  rules: ReadonlyMap<string, FlagRule>,
  service: string,
  methods: readonly string[],
): string | undefined {
  const prefix = `/${service}/`;
  const named = [...rules.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const unknown = named.filter((name) => !methods.includes(name));
  if (unknown.length === 0) return undefined;
  return `requireFlags: ${service} has no method ${unknown.join(", ")}; it has ${methods.join(", ")}`;
}

/** What a caller is told who may not call a method. It names no flag: flags are nobody's business outside. */
export function denialOf(method: string): string {
  return `${method} is not available to this caller`;
}

const METHOD = /^\/[^/\s]+\/[^/\s]+$/;
