import type { AttributeValue } from "../attribute.js";
import { codeAt, DOT, HYPHEN, isDigit } from "./character-codes.js";
import { isIdentifierCode, isVersion, startOfVersion } from "./scan-version.js";

/** A version by semver.org 2.0.0 without its build metadata. Numbers stay text, for they have no upper limit. */
export interface SemVer {
  readonly core: readonly string[];
  readonly prerelease: readonly Identifier[];
}

interface Identifier {
  readonly text: string;
  readonly isNumber: boolean;
}

/** A version's text as it is; undefined if it is none. */
export function readVersion(value: AttributeValue): string | undefined {
  return typeof value === "string" && isVersion(value) ? value : undefined;
}

/** A version; a leading `v` is dropped and missing minor and patch numbers are 0. Undefined if it is none. */
export function toSemVer(value: AttributeValue): SemVer | undefined {
  const text = readVersion(value);
  if (text === undefined) return undefined;
  const [version = ""] = text.slice(startOfVersion(text)).split("+");
  const hyphen = version.indexOf("-");
  const [major = "0", minor = "0", patch = "0"] = (hyphen < 0 ? version : version.slice(0, hyphen)).split(".");
  const identifiers = hyphen < 0 ? [] : version.slice(hyphen + 1).split(".");
  return {
    core: [major, minor, patch],
    prerelease: identifiers.map((identifier) => ({ text: identifier, isNumber: /^\d+$/.test(identifier) })),
  };
}

/**
 * Precedence as in section 11 of semver.org 2.0.0, of a text that is a version: negative where it is below the other one, 0
 * or positive. Compares in place, so that nothing is made of the text.
 */
export function compareVersion(text: string, { core, prerelease }: SemVer): number {
  let at = startOfVersion(text);
  for (const number of core) {
    const isMissing = !isDigit(codeAt(text, at));
    const order = isMissing ? (number === "0" ? 0 : -1) : compareNumber(text, at, number);
    if (order !== 0) return order;
    if (isMissing) continue;
    // As long as the other one, for they are equal.
    at += number.length;
    if (codeAt(text, at) === DOT) at++;
  }
  if (codeAt(text, at) !== HYPHEN) return prerelease.length;
  return prerelease.length === 0 ? -1 : comparePrerelease(text, at + 1, prerelease);
}

/** Neither number has leading zeros, so the longer one is the greater. */
function compareNumber(text: string, from: number, number: string): number {
  let order = 0;
  let at = 0;
  for (let code = codeAt(text, from); isDigit(code); code = codeAt(text, from + at)) {
    if (order === 0) order = code - codeAt(number, at);
    at++;
  }
  return at === number.length ? order : at - number.length;
}

function comparePrerelease(text: string, from: number, prerelease: readonly Identifier[]): number {
  let at = from;
  for (let index = 0; index < prerelease.length; index++) {
    // Every one so far is equal, and the text has no more.
    if (index > 0 && codeAt(text, at) !== DOT) return -1;
    if (index > 0) at++;
    const identifier = prerelease[index];
    if (identifier === undefined) break;
    const order = compareIdentifier(text, at, identifier);
    if (order !== 0) return order;
    at += identifier.text.length;
  }
  return codeAt(text, at) === DOT ? 1 : 0;
}

/** Numbers are below all others; these compare by their characters, and the longer one is the greater. */
function compareIdentifier(text: string, from: number, identifier: Identifier): number {
  let order = 0;
  let isNumber = true;
  let at = 0;
  for (let code = codeAt(text, from); isIdentifierCode(code); code = codeAt(text, from + at)) {
    isNumber &&= isDigit(code);
    if (order === 0) order = code - codeAt(identifier.text, at);
    at++;
  }
  if (isNumber !== identifier.isNumber) return isNumber ? -1 : 1;
  const byLength = at - identifier.text.length;
  return isNumber ? byLength || order : order || byLength;
}
