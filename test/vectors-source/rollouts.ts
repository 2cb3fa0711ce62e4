import { Draft, failedWith, match, rule } from "./draft.js";
import { keyWithHash, murmur3 } from "./murmur3.js";
import { rolloutConditions } from "./rollout-conditions.js";
import { answer, edges, hashed, letters, MAX_TOTAL, nothingToHash, type Split, toRollout, unhashed } from "./split.js";
import type { Context, Json, VectorFile } from "./vector-file.js";

function addSplit(draft: Draft, name: string, split: Split): string {
  return draft.flag(name, { enabled: true, default: toRollout(split) }, { variants: letters });
}

/** What rollouts hash, and what they make of it. */
export function rollouts(): VectorFile {
  const draft = new Draft("ro", "Rollouts: limits of shares, what is hashed, salts, as a serve and as a condition.");
  limits(draft);
  salts(draft);
  flagd(draft);
  keys(draft);
  attributes(draft);
  growing(draft);
  rolloutConditions(draft);
  rules(draft);
  return draft.finish();
}

/** Keys whose hashes are the last below and the first at each limit. */
function limits(draft: Draft): void {
  const table: Readonly<Record<string, readonly number[]>> = {
    "total-1": [1],
    "total-1-first-empty": [0, 1],
    "total-1-last-empty": [1, 0],
    "total-1-middle": [0, 1, 0],
    "total-3": [1, 1, 1],
    "total-3-middle-empty": [1, 0, 2],
    "total-7": [3, 4],
    "total-100": [25, 25, 25, 25],
    "total-100-uneven": [1, 98, 0, 1],
    "total-100-first-empty": [0, 33, 67],
    "total-100-last-empty": [33, 67, 0],
    "total-100-many-empty": [0, 0, 100, 0],
    "total-100000": [1, 99_998, 1],
    "total-100000-uneven": [12_500, 37_501, 49_999],
    "total-1000003": [333_333, 333_334, 333_336],
    "total-max": [MAX_TOTAL - 1, 1],
    "total-max-first": [1, MAX_TOTAL - 1],
    "total-max-halves": [2 ** 30, 2 ** 30 - 1],
    "total-max-whole": [0, MAX_TOTAL],
    "total-max-empty": [1, 0, MAX_TOTAL - 2, 1],
  };
  for (const [name, weights] of Object.entries(table)) {
    const split = { weights };
    const key = addSplit(draft, name, split);
    for (const hash of edges(weights)) {
      draft.answers(key, { targetingKey: keyWithHash(hash, key) }, answer(split, hash));
    }
    draft.answers(key, {}, nothingToHash);
  }
}

/** Unset, a salt is the flag's key; it may be set to nothing, or to any text. */
function salts(draft: Draft): void {
  const weights = [25, 25, 25, 25];
  for (const [name, salt] of [
    ["unset", undefined],
    ["empty", ""],
    ["set", "salt"],
    ["space", " "],
    ["unicode", "größe 日本😀"],
    ["longest", "s".repeat(256)],
  ] as const) {
    for (const algorithm of [undefined, "ROLLOUT_ALGORITHM_UNSPECIFIED", "ROLLOUT_ALGORITHM_MURMUR3_32"]) {
      const split = { weights, ...(salt !== undefined && { salt }), ...(algorithm !== undefined && { algorithm }) };
      const form = algorithm === undefined ? "" : `-${algorithm.endsWith("32") ? "murmur3" : "unspecified"}`;
      const key = addSplit(draft, `salt-${name}${form}`, split);
      const prefix = salt ?? key;
      for (const hash of form === "" ? edges(weights) : [2 ** 31 - 1, 2 ** 31]) {
        draft.answers(key, { targetingKey: keyWithHash(hash, prefix) }, answer(split, hash));
      }
      for (const targetingKey of ["u1", "u2", "日本"]) {
        draft.answers(key, { targetingKey }, answer(split, murmur3(prefix + targetingKey)));
      }
    }
  }
}

/** Answers that flagd gives in its own test bed, for flags of these names and this seed. */
function flagd(draft: Draft): void {
  const weights = [25, 25, 25, 25];
  const suits = ["a", "b", "c", "d"];
  const table: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "fractional-flag": { jack: "c", queen: "d", ten: "a", nine: "b", "3": "a" },
    "shared-seed": { seven: "c", eight: "b", nine: "a", two: "d" },
  };
  for (const [salt, answers] of Object.entries(table)) {
    const key = addSplit(draft, `flagd-${salt}`, { weights, salt });
    for (const [targetingKey, variant] of Object.entries(answers)) {
      if (!suits.includes(variant)) throw new Error(`there is no ${variant}`);
      draft.answers(key, { targetingKey }, { reason: "SPLIT", value: letters[variant] ?? null, variant });
    }
  }
}

/** Texts of every length modulo four, in one to four bytes a character. */
const texts: readonly string[] = [
  "u",
  "ab",
  "abc",
  "abcd",
  "abcde",
  " ",
  "A",
  "\u0000",
  "\n",
  "é",
  "e\u0301",
  "éé",
  "Zoë",
  "naïve-42",
  "Łódź",
  "Ω",
  "ÿ",
  "\u007f\u0080",
  "\u07ff\u0800",
  "日本語",
  "한국어",
  "한국어".normalize("NFD"),
  "\uffff",
  "😀",
  "👩‍👧",
  "a😀",
  "ab😀c",
  "𐐀𐐨",
  "\u{10ffff}",
  "שלום",
  "jürgen@x.de",
  "5c7e1d0a-3b5f-4c1e-9a44-0f1b2c3d4e5f",
  "x".repeat(1_000),
  "日".repeat(333),
];

/** UTF-8 is what is hashed. */
function keys(draft: Draft): void {
  const fine = { weights: [1, 2, 3, 4], salt: "" };
  const plain = addSplit(draft, "key", fine);
  const salted = { weights: [500, 500, 500, 500], salt: "ü" };
  const other = addSplit(draft, "key-salted", salted);
  for (const targetingKey of texts) {
    draft.answers(plain, { targetingKey }, answer(fine, murmur3(targetingKey)));
    draft.answers(other, { targetingKey }, answer(salted, murmur3(`ü${targetingKey}`)));
  }
  for (const context of [
    {},
    { targetingKey: "" },
    { targetingKey: null },
    { key: "u" },
    { user: { targetingKey: "u" } },
  ]) {
    draft.answers(plain, context, nothingToHash);
  }
}

function attributes(draft: Draft): void {
  const weights = [25, 25, 25, 25];
  const checkAttribute = (name: string, bucketBy: string, toContext: (value: Json) => Context): void => {
    const split = { weights, bucketBy, salt: "" };
    const key = addSplit(draft, name, split);
    for (const [value, text] of hashed) draft.answers(key, toContext(value), answer(split, murmur3(text)));
    for (const value of unhashed) draft.answers(key, toContext(value), nothingToHash);
    for (const context of [{}, { targetingKey: "u1" }, { other: "u1" }]) draft.answers(key, context, nothingToHash);
  };
  checkAttribute("by", "id", (id) => ({ id }));
  checkAttribute("by-besides-key", "id", (id) => ({ targetingKey: "u9", id }));
  checkAttribute("by-path", "user.id", (id) => ({ user: { id } }));
  checkAttribute("by-exact", "user.id", (id) => ({ "user.id": id, user: { id: "u9" } }));
  const byKey = { weights, bucketBy: "targetingKey", salt: "" };
  const key = addSplit(draft, "by-targeting-key", byKey);
  for (const targetingKey of ["u1", "u2", "u3", "日本"]) {
    draft.answers(key, { targetingKey }, answer(byKey, murmur3(targetingKey)));
  }
  for (const context of [{}, { targetingKey: "" }, { targetingKey: null }]) draft.answers(key, context, nothingToHash);
  // Unset, it is the targeting key.
  const unset = { weights, bucketBy: "", salt: "" };
  const same = addSplit(draft, "by-nothing", unset);
  for (const targetingKey of ["u1", "u2"]) {
    draft.answers(same, { targetingKey, "": "u9" }, answer(unset, murmur3(targetingKey)));
  }
  const salted = { weights, bucketBy: "id" };
  const own = addSplit(draft, "by-salted", salted);
  for (const id of ["u1", 7, true]) draft.answers(own, { id }, answer(salted, murmur3(`${own}${String(id)}`)));
}

/** A share that grows at the expense of those after it keeps everyone that it had. */
function growing(draft: Draft): void {
  const users = Array.from({ length: 12 }, (_, index) => `user-${index}`);
  for (const percent of [0, 10, 25, 50, 75, 90, 100]) {
    const split = { weights: [percent * 1_000, (100 - percent) * 1_000], salt: "growing" };
    const key = addSplit(draft, `growing-${percent}`, split);
    for (const targetingKey of users) {
      draft.answers(key, { targetingKey }, answer(split, murmur3(`growing${targetingKey}`)));
    }
  }
}

function rules(draft: Draft): void {
  const split = { weights: [25, 25, 25, 25], salt: "rule" };
  const targeting = {
    enabled: true,
    rules: [rule(match("IN", ["x"]), toRollout(split), "split")],
    default: { variant: "a" },
  };
  const key = draft.flag("rule", targeting, { variants: letters });
  for (const hash of edges(split.weights)) {
    const targetingKey = keyWithHash(hash, "rule");
    draft.answers(key, { targetingKey, a: "x" }, answer(split, hash, "split"));
    draft.answers(key, { targetingKey }, { reason: "DEFAULT", value: "A", variant: "a" });
  }
  draft.answers(key, { a: "x" }, failedWith("TARGETING_KEY_MISSING", "split"));
  draft.answers(key, {}, { reason: "DEFAULT", value: "A", variant: "a" });
}
