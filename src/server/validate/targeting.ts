import type { Serve, Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { contractLimits } from "../limits.js";
import type { Catalog } from "../state/catalog.js";
import { checkCondition } from "./condition.js";
import type { Violations } from "./violations.js";

/** Checks what the engine does not: counts, lengths, repetitions, and that what it names exists in the catalog. */
export function checkTargeting(targeting: Targeting, catalog: Catalog, violations: Violations): void {
  violations.timestamp("targeting.killed.killed_at", targeting.killed?.killedAt);
  violations.text("targeting.killed.killed_by", targeting.killed?.killedBy ?? "", 256);
  violations.text("targeting.killed.reason", targeting.killed?.reason ?? "", 1_024);
  checkPrerequisites(targeting, catalog, violations);
  checkTargets(targeting, violations);
  violations.count("targeting.rules", targeting.rules.length, contractLimits.rules);
  for (const [index, rule] of targeting.rules.entries()) {
    const path = `targeting.rules[${index}]`;
    if (rule.id !== "") violations.key(`${path}.id`, rule.id);
    violations.text(`${path}.description`, rule.description, 1_024);
    checkCondition(rule.condition, `${path}.condition`, violations);
    checkServe(rule.serve, `${path}.serve`, violations);
  }
  checkServe(targeting.default, "targeting.default", violations);
}

function checkPrerequisites(targeting: Targeting, catalog: Catalog, violations: Violations): void {
  const { prerequisites } = targeting;
  violations.count("targeting.prerequisites", prerequisites.length, contractLimits.prerequisites);
  violations.unique(
    "targeting.prerequisites",
    prerequisites.map((prerequisite) => prerequisite.flagKey),
  );
  for (const [index, { flagKey, variants }] of prerequisites.entries()) {
    const path = `targeting.prerequisites[${index}]`;
    const flag = catalog.flag(flagKey);
    violations.unique(`${path}.variants`, variants);
    if (flagKey !== "" && flag === undefined) {
      violations.add(`${path}.flag_key`, `there is no flag ${JSON.stringify(flagKey)}`);
    }
    for (const [place, name] of variants.entries()) {
      if (flag === undefined || Object.hasOwn(flag.variants, name)) continue;
      violations.add(`${path}.variants[${place}]`, `flag ${flagKey} has no variant ${JSON.stringify(name)}`);
    }
  }
}

function checkTargets(targeting: Targeting, violations: Violations): void {
  violations.count("targeting.targets", targeting.targets.length, contractLimits.targets);
  const seen = new Map<string, string>();
  for (const [index, { targetingKeys, variant }] of targeting.targets.entries()) {
    const path = `targeting.targets[${index}].targeting_keys`;
    violations.count(path, targetingKeys.length, contractLimits.targetKeys);
    for (const [place, key] of targetingKeys.entries()) {
      const other = seen.get(key);
      if (key === "") violations.add(`${path}[${place}]`, "is empty");
      else if (other !== undefined && other !== variant) {
        violations.add(
          `${path}[${place}]`,
          `${JSON.stringify(key)} is a target of variant ${JSON.stringify(other)} too`,
        );
      }
      seen.set(key, variant);
    }
  }
}

function checkServe(serve: Serve | undefined, path: string, violations: Violations): void {
  if (serve?.kind.case !== "rollout") return;
  const { shares, bucketBy, salt } = serve.kind.value;
  violations.count(`${path}.rollout.shares`, shares.length, contractLimits.shares);
  violations.text(`${path}.rollout.bucket_by`, bucketBy, 256);
  violations.text(`${path}.rollout.salt`, salt ?? "", 256);
}
