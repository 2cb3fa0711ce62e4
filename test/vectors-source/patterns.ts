import { checkRows, type Row } from "./check-match.js";
import { Draft } from "./draft.js";
import type { VectorFile } from "./vector-file.js";

/** A pattern and what it is found in, by RE2's syntax and semantics. */
function row(name: string, pattern: string, holds: Row["holds"], fails: Row["fails"]): Row {
  return { name, operator: "MATCHES", values: [pattern], holds, fails };
}

const rows: readonly Row[] = [
  row("anywhere", "ell", ["ell", "hello", "he\nello"], ["", "el", "ELL"]),
  row("whole", "^[a-z]+[0-9]{2,}$", ["a12", "abc123"], ["a1", "A12", "a12 ", "xa12\n", "1a12"]),
  // Without `m`, ^ and $ are the text's own ends: $ is not before a last line feed.
  row("ends-of-text", "^ab$", ["ab"], ["ab\n", "\nab", "x\nab", "ab\nx", "cab"]),
  row("ends-of-lines", "(?m)^ab$", ["ab", "ab\n", "x\nab", "ab\nx", "x\nab\ny"], ["xab", "abx\n"]),
  row("a-and-z", "(?m)\\Aab\\z", ["ab"], ["ab\n", "\nab", "x\nab"]),
  row("dot", "^a.c$", ["abc", "aéc", "a日c", "a😀c", "a c"], ["ac", "abbc", "a\nc"]),
  row("dot-all", "(?s)^a.c$", ["abc", "a\nc"], ["ac", "a\n\nc"]),
  // A character is a code point, whatever it takes in UTF-8 or UTF-16.
  row("one-character", "^.$", ["a", "é", "日", "😀"], ["", "ab", "e\u0301", "👩‍👧"]),
  row("digits", "^\\d+$", ["0", "0123456789"], ["", "٣", "１", "1a", "-1"]),
  row("words", "^\\w+$", ["a_Z9"], ["é", "a-b", "", "日"]),
  row("spaces", "^\\s$", [" ", "\t", "\n", "\r", "\f"], ["\u00a0", "\u2003", "", "x"]),
  row("boundaries", "\\bab\\b", ["ab", "x ab y", "-ab-", "éab"], ["xab", "abx", "ab_"]),
  row("no-boundary", "\\Bb", ["ab"], ["b", " b"]),
  row("unicode-classes", "^\\p{Greek}\\pL\\PN$", ["Ωab", "αé日"], ["abc", "Ω1b", "Ωa1"]),
  row("posix-classes", "^[[:alpha:]][[:^digit:]]$", ["ab", "aé"], ["éb", "a1", "1a"]),
  row("negated-class", "^[^a-c]$", ["d", "A", "é", "\n"], ["a", "b", "c", ""]),
  row("case", "(?i)^straße$", ["straße", "STRAßE", "STRAẞE"], ["STRASSE", "strasse"]),
  // Folding by single code points: the Kelvin sign and the long s are a k and an s.
  row("case-folds", "(?i)^ks$", ["ks", "KS", "\u212as", "k\u017f"], ["k", "kß"]),
  row("case-of-a-part", "^(?i:a)b$", ["ab", "Ab"], ["aB", "AB"]),
  row("case-off", "^(?i)a(?-i)b$", ["ab", "Ab"], ["aB", "AB"]),
  row("alternatives", "^(?:ab|cd)$", ["ab", "cd"], ["abcd", "ad", ""]),
  row("loose-alternatives", "^ab|cd$", ["abx", "xcd", "ab", "cd"], ["xab", "cdx"]),
  row("repetitions", "^a{2,3}b?c*d+$", ["aad", "aaabccd", "aabdd"], ["ad", "aaaad", "aa", "aabbd"]),
  row("lazy", "^a+?b{1,2}?$", ["ab", "aabb"], ["abbb", "b"]),
  row("named-groups", "^(?P<year>\\d{4})-(?:0|1)$", ["2026-1"], ["2026-2", "26-1"]),
  row("quoted", "^\\Qa.b*\\E$", ["a.b*"], ["axb*", "a.bb"]),
  row("escapes", "^\\x41\\x{1F600}\\t\\.$", ["A😀\t."], ["A😀\tx", "a😀\t."]),
  row("empty", "", ["", "x", "日\n"], [0, true]),
  row("nothing", "^$", [""], ["x", "\n", " "]),
  // Linear time: backtracking engines take for ever over this one.
  row("nested-repetition", "^(a+)+$", ["a".repeat(40)], [`${"a".repeat(40)}b`]),
  {
    name: "any-of-two",
    operator: "MATCHES",
    values: ["^a", "z$"],
    holds: ["ab", "yz", "az", ["x", "yz"]],
    fails: ["xa", "zy", ["x", "y"]],
  },
  {
    name: "ignore-case",
    operator: "MATCHES",
    ignoreCase: true,
    values: ["^[a-c]é+$"],
    holds: ["aé", "Aé", "CÉÉ"],
    fails: ["dé", "DÉ", "ae"],
  },
  {
    name: "ignore-case-off",
    operator: "MATCHES",
    ignoreCase: true,
    values: ["^(?-i)a(?i)b$"],
    holds: ["ab", "aB"],
    fails: ["Ab", "AB"],
  },
];

/** Regular expressions. */
export function patterns(): VectorFile {
  const draft = new Draft("re", "Regular expressions in RE2's syntax.");
  checkRows(draft, rows);
  return draft.finish();
}
