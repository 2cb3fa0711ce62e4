import { Draft, enabled, everyone, fellThrough, kill, match, matched, prerequisiteFailed, rule } from "./draft.js";
import type { Answer, Context, JsonObject, VectorFile } from "./vector-file.js";

const on: JsonObject = { variant: "on" };
const isX: JsonObject = rule(match("IN", ["x"]));

const needs = (...pairs: readonly (readonly [flagKey: string, ...variants: string[]])[]): JsonObject => ({
  prerequisites: pairs.map(([flagKey, ...variants]) => ({ flagKey, variants })),
});

const granted: Answer = { reason: "DEFAULT", value: true, variant: "on" };
const X: Context = { a: "x" };

/** Prerequisites. */
export function prerequisites(): VectorFile {
  const draft = new Draft("pr", "Prerequisites: how they fail, several of them, chains and diamonds.");
  const bases = addBases(draft);
  single(draft, bases);
  several(draft, bases);
  chains(draft, bases);
  others(draft, bases);
  return draft.finish();
}

/** Flags that others require. `varied` answers `on` where `a` is `x`, and `off` elsewhere. */
interface Bases {
  readonly varied: string;
  readonly alwaysOn: string;
  readonly disabled: string;
  readonly killed: string;
  readonly without: string;
  readonly bare: string;
  readonly split: string;
}

function addBases(draft: Draft): Bases {
  return {
    varied: draft.flag("varied", enabled({ rules: [isX] })),
    alwaysOn: draft.flag("always-on", enabled({ default: on })),
    disabled: draft.flag("disabled", { offVariant: "off", default: on }),
    killed: draft.flag("killed", enabled({ default: on, killed: kill })),
    without: draft.flag("without", { enabled: true }),
    bare: draft.flag("bare", undefined, { variants: { on: "a", off: "b" } }),
    split: draft.flag("split", enabled({ default: { rollout: { shares: [{ variant: "on", weight: 1 }] } } })),
  };
}

/** Adds a flag that is `on` for everyone as long as its prerequisites hold, and has it answer some contexts. */
function requiring(
  draft: Draft,
  name: string,
  prerequisites: JsonObject,
  answers: readonly [Context, Answer][],
): string {
  const key = draft.flag(name, enabled({ default: on, ...prerequisites }));
  for (const [context, answer] of answers) draft.answers(key, context, answer);
  return key;
}

function single(draft: Draft, bases: Bases): void {
  const failed = (key: string): [Context, Answer][] => [
    [{}, prerequisiteFailed(key)],
    [{ targetingKey: "u1", a: "x" }, prerequisiteFailed(key)],
  ];
  requiring(draft, "needs-on", needs([bases.varied, "on"]), [
    [X, granted],
    [{}, prerequisiteFailed(bases.varied)],
    [{ a: "y" }, prerequisiteFailed(bases.varied)],
  ]);
  requiring(draft, "needs-off", needs([bases.varied, "off"]), [
    [X, prerequisiteFailed(bases.varied)],
    [{}, granted],
  ]);
  requiring(draft, "needs-either", needs([bases.varied, "off", "on"]), [
    [X, granted],
    [{}, granted],
  ]);
  // Killed, not enabled or without an answer: whatever is accepted.
  for (const name of ["disabled", "killed", "without", "bare"] as const) {
    requiring(draft, `needs-${name}`, needs([bases[name], "on"]), failed(bases[name]));
    requiring(draft, `needs-${name}-off`, needs([bases[name], "off"]), failed(bases[name]));
    requiring(draft, `needs-${name}-either`, needs([bases[name], "on", "off"]), failed(bases[name]));
  }
  // A rollout that has nothing to hash answers no variant.
  requiring(draft, "needs-split", needs([bases.split, "on"]), [
    [{ targetingKey: "u1" }, granted],
    [{}, prerequisiteFailed(bases.split)],
    [{ targetingKey: "" }, prerequisiteFailed(bases.split)],
  ]);
  requiring(draft, "needs-split-either", needs([bases.split, "on", "off"]), [[{}, prerequisiteFailed(bases.split)]]);
}

/** All must hold; the first that does not is named. */
function several(draft: Draft, { varied, alwaysOn, disabled, killed }: Bases): void {
  requiring(draft, "two", needs([alwaysOn, "on"], [varied, "on"]), [
    [X, granted],
    [{}, prerequisiteFailed(varied)],
  ]);
  requiring(draft, "first-fails", needs([disabled, "on"], [varied, "on"], [killed, "on"]), [
    [X, prerequisiteFailed(disabled)],
    [{}, prerequisiteFailed(disabled)],
  ]);
  requiring(draft, "second-fails", needs([varied, "on"], [killed, "on"]), [
    [X, prerequisiteFailed(killed)],
    [{}, prerequisiteFailed(varied)],
  ]);
}

/** What a prerequisite answers because its own failed is an answer like any other. */
function chains(draft: Draft, { varied, alwaysOn, disabled, split }: Bases): void {
  const first = requiring(draft, "chain-1", needs([varied, "on"]), []);
  const second = requiring(draft, "chain-2", needs([first, "on"]), [
    [X, granted],
    [{}, prerequisiteFailed(first)],
  ]);
  requiring(draft, "chain-3", needs([second, "on"]), [
    [X, granted],
    [{}, prerequisiteFailed(second)],
  ]);
  requiring(draft, "chain-off", needs([first, "off"]), [
    [X, prerequisiteFailed(first)],
    [{}, granted],
  ]);
  const left = requiring(draft, "diamond-left", needs([varied, "on"]), []);
  const right = requiring(draft, "diamond-right", needs([varied, "off"]), []);
  const other = requiring(draft, "diamond-other", needs([varied, "on"]), []);
  requiring(draft, "diamond", needs([left, "on"], [other, "on"]), [
    [X, granted],
    [{}, prerequisiteFailed(left)],
  ]);
  requiring(draft, "diamond-torn", needs([left, "on"], [right, "on"]), [
    [X, prerequisiteFailed(right)],
    [{}, prerequisiteFailed(left)],
  ]);
  requiring(draft, "diamond-reversed", needs([left, "on"], [right, "off"]), [
    [X, granted],
    [{}, prerequisiteFailed(left)],
  ]);
  // One that failed for a disabled flag, or for want of a targeting key, is neither itself.
  const short = requiring(draft, "short", needs([disabled, "on"]), []);
  requiring(draft, "needs-short", needs([short, "off"]), [[{}, granted]]);
  requiring(draft, "needs-short-on", needs([short, "on"]), [[{}, prerequisiteFailed(short)]]);
  const keyless = requiring(draft, "keyless", needs([split, "on"]), []);
  requiring(draft, "needs-keyless", needs([keyless, "off"]), [
    [{}, granted],
    [{ targetingKey: "u1" }, prerequisiteFailed(keyless)],
  ]);
  // Off without an off variant is no answer.
  const noOff = draft.flag("no-off", { enabled: true, default: on, ...needs([varied, "on"]) });
  draft.answers(noOff, {}, { reason: "PREREQUISITE_FAILED", prerequisiteKey: varied });
  draft.answers(noOff, X, granted);
  requiring(draft, "needs-no-off", needs([noOff, "on", "off"]), [
    [X, granted],
    [{}, prerequisiteFailed(noOff)],
  ]);
  let key = alwaysOn;
  for (let level = 2; level <= 16; level++)
    key = requiring(draft, `long-${level}`, needs([key, "on"]), [[{}, granted]]);
}

function others(draft: Draft, { varied, alwaysOn }: Bases): void {
  const targets = [{ variant: "on", targetingKeys: ["u1"] }];
  // A prerequisite that answers by a target, a rule or its default is asked for the same context.
  const targeted = draft.flag("targeted", enabled({ targets }));
  requiring(draft, "needs-targeted", needs([targeted, "on"]), [
    [{ targetingKey: "u1" }, granted],
    [{ targetingKey: "u2" }, prerequisiteFailed(targeted)],
    [{}, prerequisiteFailed(targeted)],
  ]);
  // Without prerequisites that fail, evaluation goes on as ever.
  const rules = [rule(everyone, on, "all")];
  const full = draft.flag("full", enabled({ targets, rules, ...needs([varied, "on"]) }));
  draft.answers(full, { targetingKey: "u1", a: "x" }, { reason: "TARGETING_MATCH", value: true, variant: "on" });
  draft.answers(full, X, matched("all"));
  draft.answers(full, { targetingKey: "u1" }, prerequisiteFailed(varied));
  const plain = draft.flag("plain", enabled(needs([alwaysOn, "on"])));
  draft.answers(plain, {}, fellThrough);
  // Variants of any type and name.
  const variants = { "größe L": { a: 1 }, small: {} };
  const object = draft.flag("object", { enabled: true, default: { variant: "größe L" } }, { variants });
  requiring(draft, "needs-object", needs([object, "größe L"]), [[{}, granted]]);
  requiring(draft, "needs-object-small", needs([object, "small"]), [[{}, prerequisiteFailed(object)]]);
  // A prerequisite may depend on the time.
  const recent = rule(match("AFTER", ["2020-01-01T00:00:00Z"], { attribute: "$now" }));
  const timed = draft.flag("timed", enabled({ rules: [recent] }));
  requiring(draft, "needs-timed", needs([timed, "on"]), [[{}, granted]]);
  requiring(draft, "needs-timed-off", needs([timed, "off"]), [[{}, prerequisiteFailed(timed)]]);
}
