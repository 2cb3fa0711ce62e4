import { RE2JS } from "re2js";
import type { AttributeValue } from "../attribute.js";
import { engineLimits } from "../limits.js";
import type { LiteralError, LiteralOperator, TestRead, TestValue } from "./test-value.js";

/** Compares two texts that both have been folded where case does not count. */
export type CompareText = (text: string, literal: string) => boolean;

export const contains: CompareText = (text, literal) => text.includes(literal);
export const startsWith: CompareText = (text, literal) => text.startsWith(literal);
export const endsWith: CompareText = (text, literal) => text.endsWith(literal);

/** Unicode's default lower-casing, the same in every locale. */
function foldCase(text: string): string {
  return text.toLowerCase();
}

/** Compares texts with `compare`, in their folded form where case does not count. */
export function textOperator(compare: CompareText, ignoreCase: boolean): LiteralOperator<string> {
  return {
    read: ignoreCase ? readFolded : readText,
    compile: (literal) => {
      if (typeof literal !== "string") return notText(literal);
      const folded = ignoreCase ? foldCase(literal) : literal;
      return (text) => compare(text, folded);
    },
  };
}

/** Searches texts for regular expressions. */
export function patternOperator(ignoreCase: boolean): LiteralOperator<string> {
  return {
    read: readText,
    compile: (literal) => (typeof literal === "string" ? compilePattern(literal, ignoreCase) : notText(literal)),
  };
}

function readText(value: AttributeValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function readFolded(value: AttributeValue): string | undefined {
  return typeof value === "string" ? foldCase(value) : undefined;
}

function notText(literal: number | boolean): LiteralError {
  return { error: `is a ${typeof literal}, but the operator compares strings` };
}

/**
 * Membership in a set of strings, numbers and booleans; types are never mixed up. Case is folded for strings only.
 */
export function compileIn(literals: readonly (string | number | boolean)[], ignoreCase: boolean): TestValue {
  const members = new Set<unknown>(
    ignoreCase ? literals.map((l) => (typeof l === "string" ? foldCase(l) : l)) : literals,
  );
  if (ignoreCase) return (value) => members.has(typeof value === "string" ? foldCase(value) : value);
  const [only] = members;
  if (members.size === 1) return (value) => value === only;
  return (value) => members.has(value);
}

/** A regular expression in RE2's syntax, found anywhere in the text, in time linear in its length. */
function compilePattern(pattern: string, ignoreCase: boolean): TestRead<string> | LiteralError {
  if (pattern.length > engineLimits.patternLength) {
    return { error: `is longer than ${engineLimits.patternLength} characters` };
  }
  try {
    const regex = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    return (text) => regex.test(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "cannot be parsed";
    return { error: `is not a regular expression in RE2's syntax: ${reason}` };
  }
}
