/** What `codeAt` says beyond the end of a text: no character. */
export const END = -1;

export const PLUS = 0x2b;
export const HYPHEN = 0x2d;
export const DOT = 0x2e;
export const ZERO = 0x30;
export const COLON = 0x3a;

/**
 * The UTF-16 code unit at an index that is not negative; END beyond the end. `charCodeAt` alone answers NaN there, which is
 * no integer and makes V8 give up its fast code.
 */
export function codeAt(text: string, index: number): number {
  return index < text.length ? text.charCodeAt(index) : END;
}

/** Whether a code is one of `0` to `9`; no other script's digits are. */
export function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}

/** Whether a code is one of `A` to `Z` and `a` to `z`. */
export function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
