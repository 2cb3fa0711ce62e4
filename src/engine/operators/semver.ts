import type { AttributeValue } from "../attribute.js";

/** A version by semver.org 2.0.0 without its build metadata. Numbers stay text, for they have no upper limit. */
export interface SemVer {
  readonly core: readonly [major: string, minor: string, patch: string];
  readonly prerelease: readonly string[];
}

const NUMBER = "(0|[1-9]\\d*)";
const IDENTIFIER = "(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)";
const SEMVER = new RegExp(
  `^[vV]?${NUMBER}(?:\\.${NUMBER})?(?:\\.${NUMBER})?(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);
// The expression above is not linear for hostile input; real versions are short.
const MAX_LENGTH = 128;

/** A version; a leading `v` is dropped and missing minor and patch numbers are 0. Undefined if it is none. */
export function toSemVer(value: AttributeValue): SemVer | undefined {
  if (typeof value !== "string" || value.length > MAX_LENGTH) return undefined;
  const match = SEMVER.exec(value);
  if (match === null) return undefined;
  return {
    core: [match[1] ?? "0", match[2] ?? "0", match[3] ?? "0"],
    prerelease: match[4] === undefined ? [] : match[4].split("."),
  };
}

/** Precedence as in section 11 of semver.org 2.0.0: negative, 0 or positive. */
export function compareSemVer(a: SemVer, b: SemVer): number {
  for (let index = 0; index < 3; index++) {
    const order = compareNumbers(a.core[index] ?? "0", b.core[index] ?? "0");
    if (order !== 0) return order;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  const shared = Math.min(a.prerelease.length, b.prerelease.length);
  for (let index = 0; index < shared; index++) {
    const order = compareIdentifiers(a.prerelease[index] ?? "", b.prerelease[index] ?? "");
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

function compareIdentifiers(a: string, b: string): number {
  const aIsNumber = /^\d+$/.test(a);
  const bIsNumber = /^\d+$/.test(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return aIsNumber ? compareNumbers(a, b) : compareText(a, b);
}

function compareNumbers(a: string, b: string): number {
  return a.length - b.length || compareText(a, b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
