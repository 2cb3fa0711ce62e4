/** A flag's key in a text. */
export interface FoundKey {
  readonly key: string;
  /** From 1. */
  readonly line: number;
}

/** What to look for. */
export interface KeySearch {
  readonly isKnown: (key: string) => boolean;
  /** Whether the text is TypeScript or JavaScript, where keys of flags that do not exist are found too. */
  readonly hasCalls: boolean;
}

/** A whole literal that might be a key. Within another literal its quotes may be escaped. */
const literal = /(\\?["'`])([A-Za-z0-9._-]{1,128})\1/g;

/**
 * A call that takes a flag's key first, of printable ASCII: the getters and hooks of OpenFeature, the getters of a mirror, and
 * the gate. What `.string(` and its like are called on is looked at apart, before the match, so that no text takes long.
 */
const call =
  /(?:\bget(?:Boolean|String|Number|Object)(?:Value|Details)|\buse(?:Suspense)?(?:Boolean|String|Number|Object)?Flag(?:Value|Details)?|\brequireFlag|(\.)\s*(?:boolean|string|number|object|details|explain))\s*(?:<[^()]{0,200}>)?\(\s*(["'`])([ !#-&(-[\]-_a-~]{1,256})\2/g;

/** What holds flags, by its name: `flags`, `req.flags`, `featureFlags`, `mirror`, `flagsOf(call)`; at the end of a text. */
const flagsHolder = /(?:flags|mirror|\bflagsOf\([^()]*\))\s*[?!]?\s*$/i;
const HOLDER_LENGTH = 100;

/** The keys in a text, in its order: known ones wherever they stand in quotes, any others where a call asks for them. */
export function findKeys(text: string, { isKnown, hasCalls }: KeySearch): readonly FoundKey[] {
  const found = new Map<number, string>();
  for (const { index, 1: quote = "", 2: key = "" } of text.matchAll(literal)) {
    if (isKnown(key)) found.set(index + quote.length, key);
  }
  if (hasCalls) {
    for (const [start, key] of askedKeys(text)) found.set(start, key);
  }
  return toLines(
    text,
    [...found].sort(([a], [b]) => a - b),
  );
}

function* askedKeys(text: string): Iterable<readonly [start: number, key: string]> {
  for (const match of text.matchAll(call)) {
    const { 0: whole, 1: dot, 3: key = "" } = match;
    // A text that is put together, or a call that a program writes.
    if (key.includes("${")) continue;
    const before = text.slice(Math.max(0, match.index - HOLDER_LENGTH), match.index);
    if (dot !== undefined && !flagsHolder.test(before)) continue;
    yield [match.index + whole.length - key.length - 1, key];
  }
}

function toLines(text: string, found: readonly (readonly [start: number, key: string])[]): readonly FoundKey[] {
  let line = 1;
  let from = 0;
  return found.map(([start, key]) => {
    for (let end = text.indexOf("\n", from); end >= 0 && end < start; end = text.indexOf("\n", from)) {
      line++;
      from = end + 1;
    }
    return { key, line };
  });
}
