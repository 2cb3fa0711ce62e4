import { RE2JS } from "re2js";
import type { AttributeValue } from "../attribute.js";
import { intern } from "../intern.js";
import { engineLimits } from "../limits.js";
import {
  type CompareValue,
  type CompiledOperator,
  type Literal,
  type LiteralError,
  type LiteralOperator,
  type TestRead,
  testRead,
  testText,
} from "./test-value.js";

/** A test of texts for one literal. Both are folded where case does not count. */
export type CompareText = (literal: string) => TestRead<string>;

export const contains: CompareText = (literal) => (text) => text.includes(literal);
export const startsWith: CompareText = (literal) => (text) => text.startsWith(literal);
export const endsWith: CompareText = (literal) => (text) => text.endsWith(literal);

/** Unicode's default lower-casing, the same in every locale. */
function foldCase(text: string): string {
  return isFolded(text) ? text : text.toLowerCase();
}

/** Whether a text has nothing but ASCII in it and no capital: `toLowerCase` would allocate a copy before it finds that. */
function isFolded(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f || (code >= 0x41 && code <= 0x5a)) return false;
  }
  return true;
}

/** Compares texts with `compare`, in their folded form where case does not count. */
export function textOperator(compare: CompareText, ignoreCase: boolean): LiteralOperator<string> {
  return {
    join: ignoreCase ? (tests) => testRead(readFolded, tests) : testText,
    compile: (literal) => {
      if (typeof literal !== "string") return notText(literal);
      return compare(ignoreCase ? foldCase(literal) : literal);
    },
  };
}

/** Searches texts for regular expressions. */
export function patternOperator(ignoreCase: boolean): LiteralOperator<string> {
  return {
    join: testText,
    compile: (literal) => (typeof literal === "string" ? compilePattern(literal, ignoreCase) : notText(literal)),
  };
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
export function compileIn(literals: readonly Literal[], ignoreCase: boolean): CompiledOperator {
  const members = new Set<unknown>(literals.map((literal) => toMember(literal, ignoreCase, literals.length)));
  if (ignoreCase) {
    return { test: (value) => members.has(typeof value === "string" ? foldCase(value) : value), compares: isLiteral };
  }
  return { test: (value) => members.has(value), compares: isLiteral, members };
}

/** Beyond so many values, making each the one copy of itself costs more than it brings. */
const MAX_INTERNED = 1_000;

function toMember(literal: Literal, ignoreCase: boolean, count: number): Literal {
  if (typeof literal !== "string") return literal;
  const text = ignoreCase ? foldCase(literal) : literal;
  return count > MAX_INTERNED ? text : intern(text);
}

const isLiteral: CompareValue = (value) => typeof value !== "object";

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
