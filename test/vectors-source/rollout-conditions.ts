import { checkContexts } from "./check-match.js";
import { all, type Draft, enabled, fellThrough, match, matched, not, rule } from "./draft.js";
import { bucketOf, keyWithHash, murmur3 } from "./murmur3.js";
import { chosen, edges, hashed, LAST_HASH, letters, MAX_TOTAL, unhashed } from "./split.js";
import type { Context, JsonObject } from "./vector-file.js";

interface Slice {
  readonly weight?: number;
  readonly totalWeight?: number;
  readonly start?: number;
}

/** A share as a condition: it holds where start <= bucket < start + weight. */
export function rolloutConditions(draft: Draft): void {
  const table: Readonly<Record<string, Slice>> = {
    half: { weight: 50, totalWeight: 100 },
    "default-total": { weight: 12_345 },
    "one-of-default": { weight: 1, start: 99_999 },
    none: { weight: 0, totalWeight: 100 },
    "none-of-default": {},
    whole: { weight: 100, totalWeight: 100 },
    "whole-of-default": { weight: 100_000 },
    "one-of-one": { weight: 1, totalWeight: 1 },
    third: { weight: 1, totalWeight: 3, start: 1 },
    last: { weight: 25, totalWeight: 100, start: 75 },
    "none-at-end": { weight: 0, totalWeight: 100, start: 100 },
    max: { weight: 1, totalWeight: MAX_TOTAL, start: MAX_TOTAL - 1 },
    "max-but-last": { weight: MAX_TOTAL - 1, totalWeight: MAX_TOTAL },
    "max-middle": { weight: 2 ** 30, totalWeight: MAX_TOTAL, start: 5 },
  };
  for (const [name, slice] of Object.entries(table)) {
    const { weight = 0, totalWeight = 100_000, start = 0 } = slice;
    const limitsOf = edges([start, weight, totalWeight - start - weight]);
    // With a salt of its own, because the negated twin has another key.
    const salt = `${name}:`;
    const isHeld = (hash: number) => {
      const bucket = bucketOf(hash, totalWeight);
      return start <= bucket && bucket < start + weight;
    };
    const toContext = (hash: number) => ({ targetingKey: keyWithHash(hash, salt) });
    checkContexts(
      draft,
      `condition-${name}`,
      { rollout: { ...(slice as JsonObject), salt } },
      {
        holds: limitsOf.filter(isHeld).map(toContext),
        fails: [...limitsOf.filter((hash) => !isHeld(hash)).map(toContext), {}, { targetingKey: "" }],
      },
    );
  }
  bucketBy(draft);
  slices(draft);
  const half = { rollout: { weight: 50, totalWeight: 100 } };
  for (const algorithm of [undefined, "ROLLOUT_ALGORITHM_UNSPECIFIED", "ROLLOUT_ALGORITHM_MURMUR3_32"]) {
    const name = `condition-salt-unset-${algorithm === undefined ? "" : algorithm.slice(18).toLowerCase()}`;
    const condition = { rollout: { ...half.rollout, ...(algorithm !== undefined && { algorithm }) } };
    const key = draft.flag(name, enabled({ rules: [rule(condition)] }));
    draft.answers(key, { targetingKey: keyWithHash(2 ** 31 - 1, key) }, matched());
    draft.answers(key, { targetingKey: keyWithHash(2 ** 31, key) }, fellThrough);
  }
  // Among others.
  const both = all({ rollout: { ...half.rollout, salt: "" } }, match("IN", ["x"]));
  const [lower, upper] = [keyWithHash(0), keyWithHash(LAST_HASH)];
  checkContexts(draft, "condition-and", both, {
    holds: [{ targetingKey: lower, a: "x" }],
    fails: [{ targetingKey: lower }, { targetingKey: upper, a: "x" }, { a: "x" }, {}],
  });
  checkContexts(draft, "condition-not-not", not(not({ rollout: { ...half.rollout, salt: "" } })), {
    holds: [{ targetingKey: lower }],
    fails: [{ targetingKey: upper }, {}],
  });
}

/** What cannot be hashed misses the share, even if that is the whole. */
function bucketBy(draft: Draft): void {
  const whole = { rollout: { weight: 1, totalWeight: 1, bucketBy: "id" } };
  checkContexts(draft, "condition-by", whole, {
    holds: hashed.map(([id]) => ({ id })),
    fails: [...unhashed.map((id): Context => ({ id, targetingKey: "u1" })), { targetingKey: "u1" }, {}],
  });
  const half = { rollout: { weight: 50, totalWeight: 100, salt: "", bucketBy: "user.id" } };
  const isHeld = ([, text]: (typeof hashed)[number]) => bucketOf(murmur3(text), 100) < 50;
  const toContext = ([id]: (typeof hashed)[number]): Context => ({ user: { id }, targetingKey: "u1" });
  checkContexts(draft, "condition-by-path", half, {
    holds: hashed.filter(isHeld).map(toContext),
    fails: hashed.filter((entry) => !isHeld(entry)).map(toContext),
  });
}

/** Shares of the same salt, total and attribute that do not overlap never hold for the same caller. */
function slices(draft: Draft): void {
  const total = 10;
  const widths = [3, 4, 2];
  const names = Object.keys(letters);
  let start = 0;
  const list = widths.map((weight, index) => {
    const slice = { rollout: { weight, totalWeight: total, start, salt: "slices" } };
    start += weight;
    return rule(slice, { variant: names[index] ?? "" }, `slice-${index}`);
  });
  const targeting = { enabled: true, rules: [...list].reverse(), default: { variant: "d" } };
  const key = draft.flag("slices", targeting, { variants: letters });
  const split = { weights: [...widths, 1] };
  for (const hash of edges(split.weights)) {
    const variant = chosen(split, hash);
    const value = letters[variant] ?? null;
    const ruleId = `slice-${names.indexOf(variant)}`;
    const given =
      variant === "d" ? { reason: "DEFAULT", value, variant } : { reason: "TARGETING_MATCH", value, variant, ruleId };
    draft.answers(key, { targetingKey: keyWithHash(hash, "slices") }, given);
  }
  draft.answers(key, {}, { reason: "DEFAULT", value: "D", variant: "d" });
}
