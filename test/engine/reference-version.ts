const NUMBER = "(0|[1-9]\\d*)";
const IDENTIFIER = "(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)";
const SEMVER = new RegExp(
  `^[vV]?${NUMBER}(?:\\.${NUMBER})?(?:\\.${NUMBER})?(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

interface ReferenceVersion {
  readonly core: readonly bigint[];
  readonly prerelease: readonly string[];
}

/** A version by an expression for its grammar, which the engine reads character by character. */
export function toReferenceVersion(text: string): ReferenceVersion | undefined {
  const match = text.length > 256 ? null : SEMVER.exec(text);
  if (match === null) return undefined;
  const [, major = "0", minor = "0", patch = "0", prerelease] = match;
  return { core: [major, minor, patch].map(BigInt), prerelease: prerelease?.split(".") ?? [] };
}

/** Precedence as in section 11 of semver.org 2.0.0: negative, 0 or positive. */
export function compareReferenceVersions(a: ReferenceVersion, b: ReferenceVersion): number {
  for (const [index, number] of a.core.entries()) {
    const other = b.core[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  for (const [index, identifier] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

function compareIdentifiers(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  if (a === b) return 0;
  return (aIsNumber ? BigInt(a) < BigInt(b) : a < b) ? -1 : 1;
}
