import { clone, create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { StartRampRequest } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagType } from "../../../gen/flagwire/v1/flag_pb.js";
import {
  type Ramp,
  RampSchema,
  type RampStep,
  type Serve,
  type Targeting,
} from "../../../gen/flagwire/v1/targeting_pb.js";
import { fromValue } from "../../engine/index.js";
import { invalidArgument } from "../environment.js";
import { contractLimits } from "../limits.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import { Violations } from "../validate/violations.js";
import { serveOf, TOTAL_WEIGHT } from "./ramp-serve.js";
import { isServing, run, stepMs } from "./ramp-time.js";

/** What is asked of a ramp. */
export type WantedRamp = Pick<StartRampRequest, "ruleId" | "variant" | "fromVariant" | "steps">;

/** The ramp that a request starts on a flag with these settings, at its first step; or what is wrong with the request. */
export function planRamp(
  flag: Flag,
  targeting: Targeting,
  wanted: WantedRamp,
  start: { readonly author: string; readonly nowMs: number },
): OrRefusal<Ramp> {
  const { ruleId } = wanted;
  if (targeting.ramps.some((ramp) => ramp.ruleId === ruleId)) return rampExists(flag.key, ruleId);
  const violations = new Violations();
  const variant = wanted.variant || boolVariant(flag, true);
  const fromVariant = wanted.fromVariant || usualFromVariant(flag, variant);
  checkVariant(flag, "variant", variant, violations);
  checkVariant(flag, "from_variant", fromVariant, violations);
  if (variant === fromVariant && variant !== "") violations.add("from_variant", "is the variant that grows");
  checkSteps(wanted.steps, violations);
  if (ruleId !== "" && !targeting.rules.some(({ id }) => id === ruleId)) {
    violations.add("rule_id", noSuchRule(ruleId, targeting));
  }
  const serveBefore = serveOf(targeting, ruleId);
  if (violations.list.length === 0) checkServe(serveBefore, variant, fromVariant, violations);
  if (violations.list.length > 0) return invalidArgument(violations.list);
  const ramp = clone(RampSchema, create(RampSchema, { ruleId, variant, fromVariant, steps: wanted.steps }));
  if (serveBefore !== undefined) ramp.serveBefore = serveBefore;
  ramp.startedAt = timestampFromMs(start.nowMs);
  ramp.startedBy = start.author;
  run(ramp, stepMs(ramp), start.nowMs, !isServing(targeting));
  return ramp;
}

function rampExists(flagKey: string, ruleId: string): Refusal {
  const place = ruleId === "" ? "the default" : `rule ${ruleId}`;
  const message = `${place} of ${flagKey} has a ramp already; abort it first`;
  return new Refusal("FAILED_PRECONDITION", "RAMP_EXISTS", message, {
    metadata: { flag_key: flagKey, rule_id: ruleId },
  });
}

function noSuchRule(ruleId: string, { rules }: Targeting): string {
  const ids = rules.slice(0, 10).map(({ id }) => id);
  const known = ids.length === 0 ? "it has none" : `it has ${ids.join(", ")}${rules.length > 10 ? ", …" : ""}`;
  return `the flag has no rule ${JSON.stringify(ruleId)}; ${known}`;
}

/** The only variant of a boolean flag with a value; empty where there are several or none. */
function boolVariant(flag: Flag, value: boolean): string {
  if (flag.type !== FlagType.BOOLEAN) return "";
  const names = Object.entries(flag.variants).filter(([, one]) => fromValue(one) === value);
  return names.length === 1 ? (names[0]?.[0] ?? "") : "";
}

function usualFromVariant(flag: Flag, variant: string): string {
  const others = Object.keys(flag.variants).filter((name) => name !== variant);
  const only = others.length === 1 ? (others[0] ?? "") : "";
  return only || boolVariant(flag, false);
}

function checkVariant(flag: Flag, field: string, variant: string, violations: Violations): void {
  const names = Object.keys(flag.variants).sort().join(", ");
  if (variant === "") violations.add(field, `is required: which of ${names} it is does not go without saying`);
  else if (!Object.hasOwn(flag.variants, variant)) {
    violations.add(field, `flag ${flag.key} has no variant ${JSON.stringify(variant)}; it has ${names}`);
  }
}

const MIN_STEP_MS = 60_000;
const MAX_STEP_MS = 366 * 86_400_000;

function checkSteps(steps: readonly RampStep[], violations: Violations): void {
  if (steps.length === 0) violations.add("steps", "at least one is required");
  violations.count("steps", steps.length, contractLimits.rampSteps);
  let before = 0;
  for (const [index, { weight, duration }] of steps.slice(0, contractLimits.rampSteps).entries()) {
    const path = `steps[${index}]`;
    if (weight < 1 || weight > TOTAL_WEIGHT) violations.add(`${path}.weight`, `is not from 1 to ${TOTAL_WEIGHT}`);
    else if (weight <= before)
      violations.add(`${path}.weight`, `is ${weight}, and the step before has ${before}: it must grow`);
    before = weight;
    const isLast = index === steps.length - 1;
    if (isLast && duration !== undefined)
      violations.add(`${path}.duration`, "must be absent: the last step has no end");
    if (isLast) continue;
    if (duration === undefined) violations.add(`${path}.duration`, "is required of all steps but the last");
    else if (!isStepDuration(duration)) violations.add(`${path}.duration`, "is not from 1 minute to 366 days");
  }
}

function isStepDuration(duration: NonNullable<RampStep["duration"]>): boolean {
  const { seconds, nanos } = duration;
  if (nanos < 0 || nanos > 999_999_999 || seconds < 0n) return false;
  const ms = durationMs(duration);
  return ms >= MIN_STEP_MS && ms <= MAX_STEP_MS;
}

/** A ramp is between two variants, each of which has one piece of the callers, or all or none of them. */
function checkServe(serve: Serve | undefined, variant: string, fromVariant: string, violations: Violations): void {
  const kind = serve?.kind;
  const served = kind?.case === "rollout" ? kind.value.shares : [];
  const names = kind?.case === "variant" ? [kind.value] : served.map((share) => share.variant);
  const other = names.find((name) => name !== variant && name !== fromVariant);
  if (other !== undefined) {
    violations.add("from_variant", `${JSON.stringify(other)} is served too; a ramp is between two variants only`);
    return;
  }
  const shares = served.filter(({ weight }) => weight > 0);
  const borders = shares.filter((share, index) => index > 0 && share.variant !== shares[index - 1]?.variant);
  if (borders.length > 1) {
    violations.add("rule_id", "the rollout serves a variant in several pieces, so growing it would move somebody out");
  }
}
