import { codeAt, DOT, HYPHEN, isDigit, isLetter, PLUS, ZERO } from "./character-codes.js";

/** Characters of a version, in attributes and values. */
export const MAX_VERSION_LENGTH = 256;

const NONE = -1;

/**
 * Whether a text is a version by semver.org 2.0.0, where a leading `v` may stand and minor and patch numbers may be missing.
 * Read character by character: a regular expression makes objects, and is not linear for hostile texts.
 */
export function isVersion(text: string): boolean {
  if (text.length > MAX_VERSION_LENGTH) return false;
  let at = skipNumber(text, startOfVersion(text));
  for (let numbers = 1; at !== NONE && numbers < 3 && codeAt(text, at) === DOT; numbers++) {
    at = skipNumber(text, at + 1);
  }
  if (at !== NONE && codeAt(text, at) === HYPHEN) at = skipIdentifiers(text, at + 1, true);
  if (at !== NONE && codeAt(text, at) === PLUS) at = skipIdentifiers(text, at + 1, false);
  return at === text.length;
}

/** Where the major number of a version begins. */
export function startOfVersion(text: string): number {
  return (codeAt(text, 0) | 0x20) === 0x76 ? 1 : 0;
}

/** Whether a code may stand in an identifier of a pre-release or of build metadata. */
export function isIdentifierCode(code: number): boolean {
  return isDigit(code) || isLetter(code) || code === HYPHEN;
}

/** Where the number that begins here ends; NONE if there is none, or one with a leading zero. */
function skipNumber(text: string, from: number): number {
  let at = from;
  while (isDigit(codeAt(text, at))) at++;
  return at === from || (at > from + 1 && codeAt(text, from) === ZERO) ? NONE : at;
}

/** Where the identifiers with dots between them end; NONE if one is empty or, in a pre-release, a number with a leading zero. */
function skipIdentifiers(text: string, from: number, isPrerelease: boolean): number {
  for (let start = from; ; ) {
    let at = start;
    let isNumber = true;
    for (let code = codeAt(text, at); isIdentifierCode(code); code = codeAt(text, at)) {
      isNumber &&= isDigit(code);
      at++;
    }
    if (at === start) return NONE;
    if (isPrerelease && isNumber && at > start + 1 && codeAt(text, start) === ZERO) return NONE;
    if (codeAt(text, at) !== DOT) return at;
    start = at + 1;
  }
}
