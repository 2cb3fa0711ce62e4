import { Draft, enabled, kill, match, nobody, rule } from "./draft.js";
import { metadata, reasons, values } from "./order-answers.js";
import type { Answer, Context, JsonObject, VectorFile } from "./vector-file.js";

/** A variant for each step, so that an answer tells which one decided. */
const variants: JsonObject = { off: "OFF", target: "TARGET", rule: "RULE", default: "DEFAULT", split: "SPLIT" };
const split: JsonObject = { rollout: { shares: [{ variant: "split", weight: 1 }] } };
const isX = match("IN", ["x"]);

type DefaultKind = "absent" | "variant" | "rollout";

/** Which of the steps of an evaluation a flag has. */
interface Steps {
  readonly killed?: boolean;
  readonly disabled?: boolean;
  readonly prerequisiteFails?: boolean;
  readonly target?: boolean;
  readonly rule?: "variant" | "rollout" | false;
  readonly default: DefaultKind;
  readonly hasOff: boolean;
}

/** Who is listed and matches the rule; who is only one of them; who is neither; who has no targeting key. */
const contexts: readonly Context[] = [
  { targetingKey: "u1", a: "x" },
  { targetingKey: "u1" },
  { targetingKey: "u2", a: "x" },
  { targetingKey: "u2" },
  { a: "x" },
  {},
];

/** Enough for flags that answer all callers alike. */
const extremes: readonly Context[] = [{ targetingKey: "u1", a: "x" }, {}];

const served = (reason: string, variant: keyof typeof variants & string, parts: Partial<Answer> = {}): Answer => ({
  reason,
  value: variants[variant] ?? null,
  variant,
  ...parts,
});

/** The order of the contract, step by step. */
function expected(steps: Steps, context: Context, prerequisiteKey: string): Answer {
  const off = (reason: string, parts: Partial<Answer> = {}): Answer =>
    steps.hasOff ? served(reason, "off", parts) : { reason, ...parts };
  const rolledOut = (parts: Partial<Answer> = {}): Answer =>
    context.targetingKey === undefined
      ? { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING", ...parts }
      : served("SPLIT", "split", parts);
  if (steps.killed) return off("KILLED");
  if (steps.disabled) return off("DISABLED");
  if (steps.prerequisiteFails) return off("PREREQUISITE_FAILED", { prerequisiteKey });
  if (steps.target && context.targetingKey === "u1") return served("TARGETING_MATCH", "target");
  if (steps.rule && context.a === "x") {
    return steps.rule === "rollout" ? rolledOut({ ruleId: "r" }) : served("TARGETING_MATCH", "rule", { ruleId: "r" });
  }
  if (steps.default === "rollout") return rolledOut();
  const isStatic = !steps.target && !steps.rule;
  if (steps.default === "variant") return served(isStatic ? "STATIC" : "DEFAULT", "default");
  return { reason: "DEFAULT" };
}

/** Every step against every other: those that give the off variant, in all sets; those after them, in all sets. */
function* combinations(): Generator<Steps> {
  const yesNo = [false, true];
  for (const target of yesNo) {
    for (const ruleKind of [false, "variant", "rollout"] as const) {
      for (const defaultKind of ["absent", "variant", "rollout"] as const) {
        const rest = { target, rule: ruleKind, default: defaultKind };
        yield { ...rest, hasOff: true };
        for (const hasOff of yesNo) {
          yield { ...rest, hasOff, killed: true };
          yield { ...rest, hasOff, disabled: true };
          yield { ...rest, hasOff, prerequisiteFails: true };
        }
      }
    }
  }
  const all = { target: true, rule: "variant", default: "variant" } as const;
  for (const hasOff of yesNo) {
    yield { ...all, hasOff, killed: true, disabled: true };
    yield { ...all, hasOff, killed: true, prerequisiteFails: true };
    yield { ...all, hasOff, disabled: true, prerequisiteFails: true };
    yield { ...all, hasOff, killed: true, disabled: true, prerequisiteFails: true };
  }
}

function nameOf(steps: Steps): string {
  const parts = [
    steps.killed && "killed",
    steps.disabled && "disabled",
    steps.prerequisiteFails && "prerequisite",
    steps.target && "target",
    steps.rule && `rule${steps.rule === "rollout" ? "-split" : ""}`,
    `default-${steps.default}`,
    !steps.hasOff && "no-off",
  ];
  return parts.filter((part) => part !== false && part !== undefined).join("-");
}

function targetingOf(steps: Steps, prerequisiteKey: string): JsonObject {
  const serve = steps.rule === "rollout" ? split : { variant: "rule" };
  const defaults = { absent: undefined, variant: { variant: "default" }, rollout: split }[steps.default];
  return {
    ...(!steps.disabled && { enabled: true }),
    ...(steps.hasOff && { offVariant: "off" }),
    ...(steps.killed && { killed: kill }),
    ...(steps.prerequisiteFails && { prerequisites: [{ flagKey: prerequisiteKey, variants: ["on"] }] }),
    ...(steps.target && { targets: [{ variant: "target", targetingKeys: ["u0", "u1"] }] }),
    ...(steps.rule && { rules: [rule(isX, serve)] }),
    ...(defaults && { default: defaults }),
  };
}

/** The order of evaluation. */
export function order(): VectorFile {
  const draft = new Draft("or", "The order of evaluation: every step against every other; reasons, values, metadata.");
  const prerequisite = draft.flag("fails", enabled());
  for (const steps of combinations()) {
    const key = draft.flag(nameOf(steps), targetingOf(steps, prerequisite), { variants });
    const isOff = steps.killed || steps.disabled || steps.prerequisiteFails;
    for (const context of isOff ? extremes : contexts)
      draft.answers(key, context, expected(steps, context, prerequisite));
  }
  rulesInOrder(draft);
  targetsInOrder(draft);
  reasons(draft);
  values(draft);
  metadata(draft);
  draft.answers(draft.key("none"), { targetingKey: "u1" }, { reason: "ERROR", errorCode: "FLAG_NOT_FOUND" });
  draft.answers(draft.key("none"), {}, { reason: "ERROR", errorCode: "FLAG_NOT_FOUND" });
  return draft.finish();
}

function rulesInOrder(draft: Draft): void {
  const serve = (variant: string): JsonObject => ({ variant });
  const rules = [
    rule(nobody, serve("off"), "never"),
    rule(match("IN", ["x"]), serve("rule"), "first"),
    rule(match("IN", ["x", "y"]), serve("target"), "second"),
    rule(match("IN", ["y", "z"]), split, "third"),
    rule(match("EXISTS"), serve("rule"), "fourth"),
  ];
  const key = draft.flag("rules", enabled({ rules, default: serve("default") }), { variants });
  draft.answers(key, { a: "x" }, served("TARGETING_MATCH", "rule", { ruleId: "first" }));
  draft.answers(key, { a: "y" }, served("TARGETING_MATCH", "target", { ruleId: "second" }));
  draft.answers(key, { a: "z", targetingKey: "u1" }, served("SPLIT", "split", { ruleId: "third" }));
  // A rollout that is reached decides, even if it has nothing to hash: the fourth rule is not asked.
  const missing: Answer = { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING", ruleId: "third" };
  draft.answers(key, { a: "z" }, missing);
  draft.answers(key, { a: "z", targetingKey: "" }, missing);
  draft.answers(key, { a: "w" }, served("TARGETING_MATCH", "rule", { ruleId: "fourth" }));
  draft.answers(key, { a: null }, served("DEFAULT", "default"));
  // As a condition, a rollout that has nothing to hash, or is missed, falls through.
  const none = { rollout: { weight: 0, totalWeight: 1 } };
  const whole = { rollout: { weight: 1, totalWeight: 1 } };
  const falling = [rule(none, serve("off"), "none"), rule(whole, serve("rule"), "all")];
  const through = draft.flag("rules-fall-through", enabled({ rules: falling, default: serve("default") }), {
    variants,
  });
  draft.answers(through, { targetingKey: "u1" }, served("TARGETING_MATCH", "rule", { ruleId: "all" }));
  draft.answers(through, {}, served("DEFAULT", "default"));
  const ids = ["A-z.0_9", "z".repeat(128)];
  for (const [index, id] of ids.entries()) {
    const named = draft.flag(`rule-id-${index}`, enabled({ rules: [rule({ all: {} }, serve("rule"), id)] }), {
      variants,
    });
    draft.answers(named, {}, served("TARGETING_MATCH", "rule", { ruleId: id }));
  }
}

function targetsInOrder(draft: Draft): void {
  const targets = [
    { variant: "target", targetingKeys: ["u1", "U1", "é", " u2 "] },
    { variant: "rule", targetingKeys: ["u3"] },
    { variant: "target", targetingKeys: ["u4", "u1"] },
  ];
  const key = draft.flag("targets", enabled({ targets, default: { variant: "default" } }), { variants });
  const isTarget = served("TARGETING_MATCH", "target");
  for (const targetingKey of ["u1", "U1", "é", " u2 ", "u4"]) draft.answers(key, { targetingKey }, isTarget);
  draft.answers(key, { targetingKey: "u3" }, served("TARGETING_MATCH", "rule"));
  // Compared exactly.
  for (const targetingKey of ["u2", "U3", "e\u0301", "É", "u", "u11", ""]) {
    draft.answers(key, { targetingKey }, served("DEFAULT", "default"));
  }
  draft.answers(key, { targetingKey: null }, served("DEFAULT", "default"));
  draft.answers(key, { key: "u1", id: "u1" }, served("DEFAULT", "default"));
}
