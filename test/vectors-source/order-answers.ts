import { answeredStatically, type Draft, enabled, type FlagParts, kill, match, nobody, rule } from "./draft.js";
import type { Answer, Context, Json, JsonObject } from "./vector-file.js";

/** STATIC is for flags that say the same to everyone; one with targets, rules or prerequisites says DEFAULT. */
export function reasons(draft: Draft): void {
  const holds = draft.flag("holds", enabled({ default: { variant: "on" } }));
  const parts: Readonly<Record<string, JsonObject>> = {
    target: { targets: [{ variant: "off", targetingKeys: ["nobody"] }] },
    rule: { rules: [rule(nobody)] },
    prerequisite: { prerequisites: [{ flagKey: holds, variants: ["on"] }] },
  };
  const on = { value: true, variant: "on" };
  for (const [name, part] of Object.entries(parts)) {
    const key = draft.flag(`default-with-${name}`, enabled({ default: { variant: "on" }, ...part }));
    draft.answers(key, { targetingKey: "u1" }, { reason: "DEFAULT", ...on });
    draft.answers(key, {}, { reason: "DEFAULT", ...on });
    const whole = { rollout: { shares: [{ variant: "on", weight: 100_000 }] } };
    const rolledOut = draft.flag(`split-with-${name}`, enabled({ default: whole, ...part }));
    draft.answers(rolledOut, { targetingKey: "u1" }, { reason: "SPLIT", ...on });
    draft.answers(rolledOut, {}, { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING" });
    const without = draft.flag(`no-default-with-${name}`, { enabled: true, offVariant: "off", ...part });
    draft.answers(without, { targetingKey: "u1" }, { reason: "DEFAULT" });
  }
  // A flag without settings in the environment is not enabled there, and has no off variant.
  const bare = draft.flag("no-settings", undefined, { variants: { one: "1", two: "2" } });
  draft.answers(bare, { targetingKey: "u1" }, { reason: "DISABLED" });
  const empty = draft.flag("empty-settings", {}, { variants: { one: "1", two: "2" } });
  draft.answers(empty, {}, { reason: "DISABLED" });
}

const json: JsonObject = { list: [1, "a", true, null, [], {}], nested: { deep: { deeper: [{ x: -0.5 }] } }, "a.b": "" };

/** One flag of each type, with a variant of each name; each variant is the answer to its own name. */
const typed: Readonly<Record<string, JsonObject>> = {
  boolean: { on: true, off: false, also: true },
  string: {
    empty: "",
    text: "A",
    emoji: "👩‍👧 日本",
    lines: "a\nb\t\u0000\u2028",
    long: "x".repeat(500),
    null: "null",
  },
  number: {
    zero: 0,
    one: 1,
    negative: -1.5,
    tiny: 5e-324,
    small: 1e-7,
    huge: 1.7976931348623157e308,
    exact: 9_007_199_254_740_991,
    power: 1e21,
    third: 0.3333333333333333,
  },
  object: { empty: {}, json, nulls: { a: null }, unicode: { é: "日", "👩": [] }, inherited: { constructor: 1 } },
};

/** A value of every type, by a rule, as the default and as the off variant; and variants of any name. */
export function values(draft: Draft): void {
  for (const [type, ofType] of Object.entries(typed)) {
    const names = Object.keys(ofType);
    const rules = names.map((name) => rule(match("IN", [name]), { variant: name }, `is-${name}`));
    const [first = ""] = names;
    const targeting = { enabled: true, offVariant: first, rules, default: { variant: first } };
    const key = draft.flag(`of-${type}`, targeting, { variants: ofType });
    const value = (name: string): Json => ofType[name] ?? null;
    for (const name of names) {
      const answer = { reason: "TARGETING_MATCH", value: value(name), variant: name, ruleId: `is-${name}` };
      draft.answers(key, { a: name }, answer);
    }
    draft.answers(key, {}, { reason: "DEFAULT", value: value(first), variant: first });
    for (const name of names) {
      const plain = draft.flag(
        `of-${type}-${name}`,
        { enabled: true, default: { variant: name } },
        { variants: ofType },
      );
      draft.answers(plain, {}, answeredStatically(name, value(name)));
      const off = draft.flag(`of-${type}-${name}-off`, { offVariant: name }, { variants: ofType });
      draft.answers(off, {}, { reason: "DISABLED", value: value(name), variant: name });
    }
  }
  const named: JsonObject = { "größe L": "a", "日本 😀": "b", " ": "c", constructor: "d" };
  for (const [index, [name, value]] of Object.entries(named).entries()) {
    const key = draft.flag(`variant-name-${index}`, { enabled: true, default: { variant: name } }, { variants: named });
    draft.answers(key, {}, answeredStatically(name, value));
  }
}

/** A flag's metadata comes with every answer that it gives, whatever that is. */
export function metadata(draft: Draft): void {
  const data: JsonObject = {
    team: "checkout",
    größe: "日本 😀",
    version: 1.5,
    zero: 0,
    empty: "",
    no: false,
    yes: true,
  };
  const parts: FlagParts = { metadata: data };
  const whole = { rollout: { shares: [{ variant: "on", weight: 1 }] } };
  const unmet = [{ flagKey: draft.key("fails"), variants: ["on"] }];
  const off = { value: false, variant: "off" };
  const on = { value: true, variant: "on" };
  const table: readonly (readonly [name: string, targeting: JsonObject, context: Context, answer: Answer])[] = [
    ["static", enabled(), {}, { reason: "STATIC", ...off }],
    ["off", { offVariant: "off" }, {}, { reason: "DISABLED", ...off }],
    ["off-no-value", {}, {}, { reason: "DISABLED" }],
    ["killed", enabled({ killed: kill }), {}, { reason: "KILLED", ...off }],
    [
      "prerequisite",
      enabled({ prerequisites: unmet }),
      {},
      { reason: "PREREQUISITE_FAILED", ...off, prerequisiteKey: draft.key("fails") },
    ],
    [
      "target",
      enabled({ targets: [{ variant: "on", targetingKeys: ["u1"] }] }),
      { targetingKey: "u1" },
      { reason: "TARGETING_MATCH", ...on },
    ],
    [
      "rule",
      enabled({ rules: [rule(match("IN", ["x"]))] }),
      { a: "x" },
      { reason: "TARGETING_MATCH", ...on, ruleId: "r" },
    ],
    ["split", enabled({ default: whole }), { targetingKey: "u1" }, { reason: "SPLIT", ...on }],
    ["missing", enabled({ default: whole }), {}, { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING" }],
  ];
  for (const [name, targeting, context, answer] of table) {
    const key = draft.flag(`metadata-${name}`, targeting, parts);
    draft.answers(key, context, { ...answer, metadata: data });
  }
}
