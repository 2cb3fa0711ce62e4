import type { JsonValue } from "@bufbuild/protobuf";
import type { Rollout } from "../../gen/flagwire/v1/rollout_pb.js";
import type { Rule, Serve, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { TARGETING_KEY } from "./attribute-test.js";
import { SHARES_WARNING } from "./common-warnings.js";
import type { ExportScope } from "./export-scope.js";
import { quote } from "./json.js";
import { noneOf } from "./logic.js";
import { isHashTest } from "./lookup.js";
import { Place } from "./place.js";
import { isListed, textAttributesOf, toFlagdCondition } from "./to-condition.js";
import { bucketsOtherwise, type FlagdShare, isBucketed, OTHER_BUCKETS, toFlagdFractional } from "./to-fractional.js";
import { toFlagdHash, toPresenceTest } from "./to-hash.js";
import { toPrerequisitesTest } from "./to-prerequisites-test.js";

/** What flagd evaluates an enabled flag by. */
export interface FlagdTargeting {
  /** Null: the caller's own default. */
  readonly defaultVariant: string | null;
  readonly targeting?: JsonValue;
}

/** Prerequisites, targets, rules and default as one `if`. Leaves the flag out, in the scope's findings, where that cannot be exact. */
export function toFlagdTargeting(targeting: Targeting, scope: ExportScope): FlagdTargeting {
  const place = new Place("targeting");
  const branches: JsonValue[] = [];
  const { offVariant } = targeting;
  const fulfilled = toPrerequisitesTest(targeting, place, scope);
  if (fulfilled === false) return { defaultVariant: offVariant === "" ? null : offVariant };
  if (fulfilled !== true) {
    const off = offVariant === "" ? null : toResult(offVariant, place.member("off_variant"), scope);
    branches.push(noneOf(fulfilled), off);
  }
  for (const [index, { variant, targetingKeys }] of targeting.targets.entries()) {
    const target = place.member("targets").element(index);
    if (!scope.fits(target, targetingKeys.length)) continue;
    branches.push(isListed(targetingKeys), toResult(variant, target.member("variant"), scope));
  }
  for (const [index, rule] of targeting.rules.entries()) {
    const at = place.member("rules").element(index);
    if (!rule.condition || !rule.serve) continue;
    const condition = toFlagdCondition(rule.condition, at.member("condition"), scope);
    if (condition === false) continue;
    const inside = scope.withText(textAttributesOf(rule.condition));
    branches.push(condition, toFlagdServe(rule.serve, at.member("serve"), inside));
  }
  const fallback = targeting.default;
  const neverNull = fulfilled === true || offVariant !== "";
  if (fallback?.kind.case === "variant" && neverNull && targeting.rules.every(alwaysServes)) {
    const defaultVariant = fallback.kind.value;
    return { defaultVariant, ...toBranches(branches, scope) };
  }
  // A fractional with nothing to hash is null, as is no off variant, and so gives the default variant. There must be none then:
  // here that is the caller's own default. The default becomes the last branch instead.
  if (fallback !== undefined) branches.push(toFlagdServe(fallback, place.member("default"), scope));
  return { defaultVariant: null, ...toBranches(branches, scope) };
}

// Clients that bucket otherwise come first: such a flag has no answer for them, not even to a rule without a rollout, since a
// rollout may be part of any condition and of whatever follows it.
function toBranches(branches: readonly JsonValue[], { findings }: ExportScope): Pick<FlagdTargeting, "targeting"> {
  if (branches.length === 0) return {};
  if (!branches.some(isBucketed)) return { targeting: { if: [...branches] } };
  findings.warn(new Place("targeting"), SHARES_WARNING);
  return { targeting: { if: [bucketsOtherwise, OTHER_BUCKETS, ...branches] } };
}

/** Whether a rule, where it holds, has something to hash if it needs it. */
function alwaysServes({ condition, serve }: Rule): boolean {
  if (serve?.kind.case !== "rollout") return true;
  const attribute = serve.kind.value.bucketBy || TARGETING_KEY;
  const parts = condition?.kind.case === "all" ? condition.kind.value.conditions : condition ? [condition] : [];
  return parts.some((part) => isHashTest(part, attribute));
}

function toFlagdServe({ kind }: Serve, place: Place, scope: ExportScope): JsonValue {
  switch (kind.case) {
    case "variant":
      return toResult(kind.value, place.member("variant"), scope);
    case "rollout":
      return toFractional(kind.value, place.member("rollout"), scope);
    case undefined:
      return scope.leave(place, "is of a kind that this version does not know");
  }
}

function toFractional(rollout: Rollout, place: Place, scope: ExportScope): JsonValue {
  const hash = toFlagdHash(rollout, place, scope);
  const shares = rollout.shares.map(({ variant, weight }, index): FlagdShare => {
    return [toResult(variant, place.member("shares").element(index), scope), weight];
  });
  // Some clients take a fractional of one entry for an invalid one; and who has it all needs no bucket.
  const [winner, ...others] = shares.filter(([, weight]) => weight > 0);
  if (winner !== undefined && others.length === 0) {
    const isPresent = toPresenceTest(rollout, hash);
    return isPresent === true ? winner[0] : { if: [isPresent, winner[0], null] };
  }
  const fractional = toFlagdFractional(hash, shares);
  return hash.guard === undefined ? fractional : { if: [hash.guard, fractional, null] };
}

// The Go daemon writes the result as JSON, where <, > and & are escaped too, and takes the quotes away.
function toResult(variant: string, place: Place, scope: ExportScope): JsonValue {
  if (!/["\\<>&\u2028\u2029]/.test(variant)) return variant;
  return scope.leave(place, `flagd cannot find the variant ${quote(variant)}, whose name JSON escapes`);
}
