import { checkRows, type Row } from "./check-match.js";
import { Draft } from "./draft.js";
import type { VectorFile } from "./vector-file.js";

const rows: readonly Row[] = [
  {
    name: "in",
    operator: "IN",
    values: ["", " x", "naïve", "日本", "a\tb", "👩‍👧"],
    holds: ["", " x", "naïve", "日本", "a\tb", "👩‍👧"],
    // The last two are written with combining marks, or lack a joiner: texts are compared as they are.
    fails: [" ", "x", "x ", "Naïve", "日", "nai\u0308ve", "👩👧"],
  },
  {
    name: "contains",
    operator: "CONTAINS",
    values: ["ell", "ü", "👩"],
    holds: ["ell", "hello", "hell", "bell", "grün", "👩‍👧", "x👩x"],
    fails: ["", "el", "lle", "e ll", "Ell", "ELL", "grun", "gru\u0308n", "👨‍👧"],
  },
  { name: "contains-nothing", operator: "CONTAINS", values: [""], holds: ["", "x", "日本"], fails: [0, true] },
  { name: "contains-dot", operator: "CONTAINS", values: [".*"], holds: ["a.*b"], fails: ["ab", "a.b", ".", "*"] },
  {
    name: "starts",
    operator: "STARTS_WITH",
    values: ["ab", "日"],
    holds: ["ab", "abc", "日本"],
    fails: ["", "a", "cab", "Ab", " ab", "本日"],
  },
  { name: "starts-nothing", operator: "STARTS_WITH", values: [""], holds: ["", "x"], fails: [0, false] },
  {
    name: "ends",
    operator: "ENDS_WITH",
    values: ["@x.com", "é"],
    holds: ["@x.com", "ann@x.com", "café"],
    fails: ["", "x.com", "ann@x.com ", "ann@x.coM", "ann@xXcom", "cafe", "cafe\u0301"],
  },
  { name: "ends-nothing", operator: "ENDS_WITH", values: [""], holds: ["", "x"], fails: [1, true] },
  ...folded(),
];

/** What Unicode's default lower-casing makes of both sides decides, in every locale. */
function folded(): readonly Row[] {
  const ignoreCase = true;
  return [
    {
      name: "in-case",
      operator: "IN",
      ignoreCase,
      values: ["Straße", "ÉCLAIR", "Ǆ"],
      holds: ["straße", "STRAẞE", "éclair", "ÉClaiR", "ǆ", "ǅ"],
      // Lower-casing keeps ß and ss apart, and accents too.
      fails: ["STRASSE", "strasse", "ECLAIR", "e\u0301clair", "dž"],
    },
    // U+0130 becomes i with a dot above, U+212A (Kelvin) becomes k; ı is lower case already.
    {
      name: "in-case-turkish",
      operator: "IN",
      ignoreCase,
      values: ["İ", "\u212a"],
      holds: ["i\u0307", "İ", "I\u0307", "k", "K", "\u212a"],
      fails: ["i", "I", "ı"],
    },
    // A capital sigma at the end of a word becomes ς, anywhere else σ.
    {
      name: "in-case-sigma",
      operator: "IN",
      ignoreCase,
      values: ["ΟΔΟΣ", "ΣΑΣ"],
      holds: ["οδος", "ΟΔΟΣ", "Οδος", "σας", "Σας"],
      fails: ["οδοσ", "σασ", "ςας"],
    },
    { name: "in-case-deseret", operator: "IN", ignoreCase, values: ["𐐀"], holds: ["𐐨", "𐐀"], fails: ["𐐁", "𐐩"] },
    {
      name: "contains-case",
      operator: "CONTAINS",
      ignoreCase,
      values: ["ELL", "ÜN"],
      holds: ["hello", "HELLO", "hElLo", "grün", "GRÜN"],
      fails: ["helo", "", "grun"],
    },
    // The value ends in ς, but inside the word the attribute has σ.
    { name: "contains-case-sigma", operator: "CONTAINS", ignoreCase, values: ["ΟΣ"], holds: ["ΟΣ"], fails: ["ΟΣΑ"] },
    {
      name: "starts-case",
      operator: "STARTS_WITH",
      ignoreCase,
      values: ["Äb"],
      holds: ["äbc", "ÄBC", "Äb"],
      fails: ["ab", "xäb", "ä"],
    },
    {
      name: "ends-case",
      operator: "ENDS_WITH",
      ignoreCase,
      values: ["@X.com"],
      holds: ["ann@x.com", "ANN@X.COM"],
      fails: ["ann@x.co", "ann@x.com "],
    },
  ];
}

/** The operators on texts but for regular expressions. */
export function text(): VectorFile {
  const draft = new Draft("tx", "Texts: equal, contained, at either end; with and without regard to case.");
  checkRows(draft, rows);
  return draft.finish();
}
