import type { JsonValue } from "@bufbuild/protobuf";
import type { Rule, Serve, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { toBucketTest } from "./bucket-test.js";
import { type Branch, decide } from "./decide.js";
import type { ExportScope } from "./export-scope.js";
import { Findings } from "./findings.js";
import { allOf, noneOf } from "./logic.js";
import type { Place } from "./place.js";
import { isListed, textAttributesOf, toFlagdCondition } from "./to-condition.js";

// flagd has no prerequisites. What another flag answers is decided by conditions, though, so they are written into the flag
// that requires it, with the other's salts.

/** Whether every prerequisite holds. */
export function toPrerequisitesTest(targeting: Targeting, place: Place, scope: ExportScope): JsonValue {
  const tests: JsonValue[] = [];
  const found = new Findings(scope.flagKey);
  for (const [index, { flagKey, variants }] of targeting.prerequisites.entries()) {
    const attempt = new Findings(scope.flagKey);
    const at = place.member("prerequisites").element(index).member(flagKey);
    const test = toAnswerTest(flagKey, new Set(variants), at, scope.withFindings(attempt));
    // One that never holds decides, whatever the others are.
    if (test === false && attempt.refused.length === 0) return false;
    tests.push(test);
    found.adopt(attempt);
  }
  scope.findings.adopt(found);
  return allOf(tests);
}

/** Whether another flag answers one of some variants. */
function toAnswerTest(flagKey: string, accepted: ReadonlySet<string>, place: Place, scope: ExportScope): JsonValue {
  const { source } = scope;
  const targeting = source.targeting(flagKey);
  const isActive = targeting?.enabled === true && targeting.killed === undefined;
  if (!isActive || source.flag(flagKey) === undefined || source.problems(flagKey).length > 0) return false;
  const inside = scope.inFlag(flagKey);
  if (!inside.fits(place, 1)) return false;
  const accepts = (variant: string): boolean => variant !== "" && accepted.has(variant);
  const branches: Branch[] = [];
  if (targeting.prerequisites.length > 0) {
    const when = () => noneOf(toPrerequisitesTest(targeting, place, inside));
    branches.push({ when, answer: accepts(targeting.offVariant) });
  }
  for (const { variant, targetingKeys } of targeting.targets) {
    const when = () => inside.fits(place, targetingKeys.length) && isListed(targetingKeys);
    branches.push({ when, answer: accepts(variant) });
  }
  for (const [index, rule] of targeting.rules.entries()) {
    branches.push(toBranch(rule, accepts, place.member("rules").element(index), inside));
  }
  const { default: fallback } = targeting;
  return decide(branches, fallback ? toServeTest(fallback, accepts, place.member("default"), inside) : false);
}

function toBranch(
  { condition, serve }: Rule,
  accepts: (variant: string) => boolean,
  place: Place,
  scope: ExportScope,
): Branch {
  if (!condition || !serve) return { when: () => false, answer: false };
  const inside = scope.withText(textAttributesOf(condition));
  return {
    when: () => toFlagdCondition(condition, place.member("condition"), scope),
    answer: toServeTest(serve, accepts, place.member("serve"), inside),
  };
}

/** Whether a serve gives one of the variants; with nothing to hash it gives none. Never null. */
function toServeTest(
  { kind }: Serve,
  accepts: (variant: string) => boolean,
  place: Place,
  scope: ExportScope,
): JsonValue {
  switch (kind.case) {
    case "variant":
      return accepts(kind.value);
    case "rollout": {
      const { shares } = kind.value;
      const at = place.member("rollout");
      if (!scope.fits(at, shares.length)) return false;
      const parts = shares.map(({ variant, weight }) => ({ holds: accepts(variant), weight }));
      return toBucketTest(kind.value, parts, at, scope);
    }
    case undefined:
      return scope.leave(place, "is of a kind that this version does not know");
  }
}
