import {
  all,
  answeredStatically,
  any,
  Draft,
  enabled,
  everyone,
  failedWith,
  fellThrough,
  inSegment,
  kill,
  match,
  matched,
  not,
  prerequisiteFailed,
  rule,
} from "./draft.js";
import { literals } from "./malformed-literals.js";
import { contexts, malformedFlag, unsound } from "./unsound.js";
import type { Answer, JsonObject, VectorFile } from "./vector-file.js";

const killedOff: Answer = { reason: "KILLED", value: false, variant: "off" };
const on: JsonObject = { variant: "on" };
/** An operator and an algorithm of a newer version. */
const UNKNOWN = 99;
const unknownOperator = match(UNKNOWN, ["x"]);

/** Flags and segments that cannot be understood. Sound flags among them answer as ever. */
export function malformed(): VectorFile {
  const draft = new Draft("mf", "Malformed flags and segments: refused on write, MALFORMED_FLAG where they are met.");
  conditions(draft);
  literals(draft);
  rollouts(draft);
  variants(draft);
  killed(draft);
  prerequisites(draft);
  prerequisiteCycles(draft);
  segments(draft);
  segmentCycles(draft);
  neighbours(draft);
  return draft.finish();
}

function conditions(draft: Draft): void {
  const table: Readonly<Record<string, JsonObject>> = {
    "operator-unknown": unknownOperator,
    "operator-unknown-without-values": match(UNKNOWN),
    "operator-unspecified": match("UNSPECIFIED", ["x"]),
    "operator-unknown-negated": not(unknownOperator),
    "operator-unknown-in-any": any(everyone, unknownOperator),
    "operator-unknown-in-all": all({ any: {} }, unknownOperator),
    "operator-unknown-deep": all(not(any(everyone, all(not(unknownOperator))))),
    // A kind of condition that a program does not know leaves none set.
    "condition-unset": {},
    "condition-unset-negated": not({}),
    "condition-unset-in-any": any(everyone, {}),
    "attribute-unset": match("IN", ["x"], { attribute: "" }),
    "exists-with-values": match("EXISTS", ["x"]),
    "segment-missing": inSegment("mf-no-such-segment"),
    "segment-missing-in-any": any(everyone, inSegment("mf-no-such-segment")),
    "segment-of-a-flag": inSegment("mf-neighbour"),
    "segment-unnamed": inSegment(""),
  };
  for (const [name, condition] of Object.entries(table)) {
    unsound(draft, name, enabled({ rules: [rule(condition)] }));
  }
  for (const operator of ["EQUAL", "LESS", "BEFORE", "EXISTS"]) {
    const values = operator === "EXISTS" ? [] : [1];
    const condition = match(operator, values, { ignoreCase: true });
    unsound(draft, `ignore-case-${operator.toLowerCase()}`, enabled({ rules: [rule(condition)] }));
  }
  // Whether anybody gets there or not.
  const targets = [{ variant: "on", targetingKeys: ["u1"] }];
  unsound(draft, "rule-after-target", enabled({ targets, rules: [rule(unknownOperator)] }));
  const rules = [rule(everyone, on, "all"), rule(unknownOperator)];
  unsound(draft, "rule-after-rule", enabled({ rules }));
  unsound(draft, "disabled", { offVariant: "off", rules: [rule(unknownOperator)] });
  unsound(draft, "rule-ids-alike", enabled({ rules: [rule(everyone), rule(everyone)] }));
  unsound(draft, "rule-without-condition", enabled({ rules: [{ id: "r", serve: on }] }));
  unsound(draft, "rule-without-serve", enabled({ rules: [{ id: "r", condition: everyone }] }));
}

const share = (variant: string, weight: number): JsonObject => ({ variant, weight });
const MAX_TOTAL = 2 ** 31 - 1;

function rollouts(draft: Draft): void {
  const whole = [share("on", 1)];
  const serves: Readonly<Record<string, JsonObject>> = {
    "algorithm-unknown": { shares: whole, algorithm: UNKNOWN },
    "shares-none": { shares: [] },
    "shares-weightless": { shares: [share("on", 0), share("off", 0)] },
    "shares-too-heavy": { shares: [share("on", MAX_TOTAL), share("off", 1)] },
    "share-heaviest": { shares: [share("on", 2 ** 32 - 1)] },
    "share-of-no-variant": { shares: [...whole, share("none", 1)] },
    "share-unnamed": { shares: [...whole, share("", 1)] },
    "share-of-nobody-of-no-variant": { shares: [...whole, share("none", 0)] },
  };
  for (const [name, rollout] of Object.entries(serves)) {
    unsound(draft, name, enabled({ default: { rollout } }));
    unsound(draft, `${name}-in-rule`, enabled({ rules: [rule(match("IN", ["nobody"]), { rollout })] }));
  }
  const conditions: Readonly<Record<string, JsonObject>> = {
    "condition-algorithm-unknown": { weight: 1, algorithm: UNKNOWN },
    "condition-beyond-total": { weight: 2, totalWeight: 1 },
    "condition-beyond-default-total": { weight: 100_001 },
    "condition-start-beyond-total": { weight: 50, totalWeight: 100, start: 51 },
    "condition-too-heavy": { weight: 1, totalWeight: MAX_TOTAL + 1 },
  };
  for (const [name, rollout] of Object.entries(conditions)) {
    unsound(draft, name, enabled({ rules: [rule({ rollout })] }));
    unsound(draft, `${name}-negated`, enabled({ rules: [rule(not({ rollout }))] }));
  }
}

function variants(draft: Draft): void {
  const targetings: Readonly<Record<string, JsonObject>> = {
    "off-of-no-variant": enabled({ offVariant: "none" }),
    "off-inherited": enabled({ offVariant: "constructor" }),
    "default-of-no-variant": enabled({ default: { variant: "none" } }),
    "default-unset": enabled({ default: {} }),
    "default-unnamed": enabled({ default: { variant: "" } }),
    "rule-of-no-variant": enabled({ rules: [rule(everyone, { variant: "none" })] }),
    "rule-serve-unset": enabled({ rules: [rule(everyone, {})] }),
    "target-of-no-variant": enabled({ targets: [{ variant: "none", targetingKeys: ["u1"] }] }),
    "target-of-nobody": enabled({ targets: [{ variant: "on", targetingKeys: [] }] }),
  };
  for (const [name, targeting] of Object.entries(targetings)) unsound(draft, name, targeting);
  const flags: Readonly<Record<string, JsonObject>> = {
    "type-unspecified": { type: "FLAG_TYPE_UNSPECIFIED" },
    "type-unknown": { type: UNKNOWN },
    "type-other": { type: "FLAG_TYPE_STRING" },
    "variant-of-another-type": { variants: { on: true, off: false, third: "true" } },
    "variant-null": { variants: { on: true, off: false, third: null } },
    "variant-list": { type: "FLAG_TYPE_OBJECT", variants: { on: {}, off: {}, third: [] } },
  };
  for (const [name, fields] of Object.entries(flags)) {
    unsound(draft, name, enabled(), malformedFlag, { fields });
    // Killed or not: what it should answer is not sound itself.
    unsound(draft, `${name}-killed`, enabled({ killed: kill }), malformedFlag, { fields });
  }
  unsound(draft, "variants-none", { enabled: true }, malformedFlag, { fields: { variants: {} } });
}

/** Killed beats malformed, as long as the variants and the off variant are sound. */
function killed(draft: Draft): void {
  const parts: Readonly<Record<string, JsonObject>> = {
    "killed-rule": { rules: [rule(unknownOperator)] },
    "killed-literal": { rules: [rule(match("MATCHES", ["("]))] },
    "killed-segment": { rules: [rule(inSegment("mf-no-such-segment"))] },
    "killed-default": { default: { variant: "none" } },
    "killed-algorithm": { default: { rollout: { shares: [share("on", 1)], algorithm: UNKNOWN } } },
    "killed-target": { targets: [{ variant: "none", targetingKeys: ["u1"] }] },
    "killed-and-disabled": { enabled: false, rules: [rule(unknownOperator)] },
  };
  for (const [name, part] of Object.entries(parts)) unsound(draft, name, enabled({ killed: kill, ...part }), killedOff);
  const noOff = { enabled: true, killed: kill, rules: [rule(unknownOperator)] };
  unsound(draft, "killed-without-off", noOff, { reason: "KILLED" });
  unsound(draft, "killed-off-of-no-variant", enabled({ killed: kill, offVariant: "none" }));
}

const needs = (flagKey: string, ...names: string[]): JsonObject => ({
  default: on,
  prerequisites: [{ flagKey, variants: names }],
});

/** A prerequisite that is missing or malformed fails; that does not make the flag that requires it malformed. */
function prerequisites(draft: Draft): void {
  const missing = draft.key("no-such-flag");
  unsound(draft, "needs-missing", enabled(needs(missing, "on")), prerequisiteFailed(missing));
  const bad = unsound(draft, "prerequisite", enabled({ rules: [rule(unknownOperator)] }));
  unsound(draft, "needs-malformed", enabled(needs(bad, "on")), prerequisiteFailed(bad));
  const either = unsound(draft, "needs-malformed-either", enabled(needs(bad, "on", "off")), prerequisiteFailed(bad));
  unsound(draft, "needs-needs-malformed", enabled(needs(either, "on")), prerequisiteFailed(either));
  const accepting = enabled(needs(either, "off"));
  unsound(draft, "needs-needs-malformed-off", accepting, { reason: "DEFAULT", value: true, variant: "on" });
  const dead = draft.key("killed-rule");
  unsound(draft, "needs-killed-malformed", enabled(needs(dead, "on", "off")), prerequisiteFailed(dead));
  const disabled = draft.key("disabled");
  unsound(draft, "needs-disabled-malformed", enabled(needs(disabled, "off")), prerequisiteFailed(disabled));
  // Malformed itself, whatever becomes of its prerequisite.
  unsound(draft, "malformed-needs-missing", enabled({ ...needs(missing, "on"), rules: [rule(unknownOperator)] }));
  // Refused on write; what else becomes of them is not laid down.
  draft.refuseFlag(draft.flag("needs-no-variant-of-it", enabled(needs(draft.key("neighbour"), "none"))));
  draft.refuseFlag(draft.flag("needs-nothing-of-it", enabled(needs(draft.key("neighbour")))));
}

/** Every flag of a cycle is malformed, and no other. */
function prerequisiteCycles(draft: Draft): void {
  const key = (name: string) => draft.key(`cycle-${name}`);
  const cycle = (name: string, next: string, parts: JsonObject = {}, answer: Answer = malformedFlag) =>
    unsound(draft, `cycle-${name}`, enabled({ ...needs(key(next), "on", "off"), ...parts }), answer);
  cycle("self", "self");
  for (const size of [2, 3]) {
    for (let member = 0; member < size; member++) cycle(`${size}-${member}`, `${size}-${(member + 1) % size}`);
  }
  const into = unsound(draft, "into-cycle", enabled(needs(key("3-1"), "on", "off")), prerequisiteFailed(key("3-1")));
  unsound(draft, "into-into-cycle", enabled(needs(into, "off")), { reason: "DEFAULT", value: true, variant: "on" });
  unsound(draft, "into-self", enabled(needs(key("self"), "on")), prerequisiteFailed(key("self")));
  // One member that is killed answers so; the others, and one that is disabled, do not get out of it.
  cycle("killed-0", "killed-1", { killed: kill }, killedOff);
  cycle("killed-1", "killed-0");
  cycle("disabled-0", "disabled-1", { enabled: false });
  cycle("disabled-1", "disabled-0");
  // A cycle beside the way, in a flag that a member requires too.
  const sound = draft.key("neighbour");
  const prerequisites = [
    { flagKey: sound, variants: ["on"] },
    { flagKey: key("beside"), variants: ["on"] },
  ];
  unsound(draft, "cycle-beside", enabled({ default: on, prerequisites }));
}

/** Adds a segment that a server must refuse, and flags that use it: malformed, whoever asks. */
function unsoundSegment(draft: Draft, name: string, condition: JsonObject): string {
  const key = draft.segment(name, { included: ["u1"], condition });
  draft.refuseSegment(key);
  unsound(draft, `in-${name}`, enabled({ rules: [rule(inSegment(key))] }));
  unsound(draft, `not-in-${name}`, enabled({ rules: [rule(not(inSegment(key)))] }));
  return key;
}

function segments(draft: Draft): void {
  const table: Readonly<Record<string, JsonObject>> = {
    "segment-operator-unknown": unknownOperator,
    "segment-condition-unset": not({}),
    "segment-literal": match("IN_CIDR", ["10.0.0.0/33"]),
    "segment-algorithm-unknown": { rollout: { weight: 1, algorithm: UNKNOWN } },
    "segment-of-missing": inSegment("mf-no-such-segment"),
  };
  for (const [name, condition] of Object.entries(table)) unsoundSegment(draft, name, condition);
  const user = unsoundSegment(draft, "segment-of-malformed", any(everyone, inSegment("mf-segment-literal")));
  unsoundSegment(draft, "segment-of-of-malformed", inSegment(user));
  const killedUser = enabled({ killed: kill, rules: [rule(inSegment(user))] });
  unsound(draft, "killed-in-malformed-segment", killedUser, killedOff);
}

function segmentCycles(draft: Draft): void {
  const key = (name: string) => draft.key(`ring-${name}`);
  unsoundSegment(draft, "ring-self", inSegment(key("self")));
  for (const size of [2, 3]) {
    for (let member = 0; member < size; member++) {
      unsoundSegment(draft, `ring-${size}-${member}`, inSegment(key(`${size}-${(member + 1) % size}`)));
    }
  }
  unsoundSegment(draft, "into-ring", inSegment(key("3-2")));
  unsoundSegment(draft, "into-ring-negated", not(inSegment(key("self"))));
}

/** Sound flags and segments in the same file. */
function neighbours(draft: Draft): void {
  const plain = draft.flag("neighbour", enabled({ default: on }));
  for (const context of contexts) draft.answers(plain, context, answeredStatically("on", true));
  const listed = draft.segment("sound", { included: ["u1"] });
  const nested = draft.segment("sound-nested", { condition: inSegment(listed) });
  const inNested = draft.flag("neighbour-in-segment", enabled({ rules: [rule(inSegment(nested))] }));
  draft.answers(inNested, { targetingKey: "u1" }, matched());
  draft.answers(inNested, {}, fellThrough);
  const needing = draft.flag("neighbour-needs", enabled(needs(plain, "on")));
  draft.answers(needing, {}, { reason: "DEFAULT", value: true, variant: "on" });
  const off = draft.flag("neighbour-off", { offVariant: "off" });
  draft.answers(off, {}, { reason: "DISABLED", value: false, variant: "off" });
  const whole = draft.flag("neighbour-split", enabled({ default: { rollout: { shares: [share("on", 1)] } } }));
  draft.answers(whole, { targetingKey: "u1" }, { reason: "SPLIT", value: true, variant: "on" });
  draft.answers(whole, {}, failedWith("TARGETING_KEY_MISSING"));
}
