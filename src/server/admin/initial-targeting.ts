import { clone, create } from "@bufbuild/protobuf";
import { type Flag, FlagType } from "../../../gen/flagwire/v1/flag_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { fromValue } from "../../engine/index.js";

/** A new flag's settings in an environment: those of a template, else off, with the obvious variants of a boolean flag. */
export function initialTargeting(flag: Flag, environment: string, template?: Targeting): Targeting {
  const targeting = template ? clone(TargetingSchema, template) : obviousTargeting(flag);
  targeting.flagKey = flag.key;
  targeting.environment = environment;
  delete targeting.killed;
  return withRuleIds(targeting);
}

function obviousTargeting(flag: Flag): Targeting {
  if (flag.type !== FlagType.BOOLEAN) return create(TargetingSchema);
  const names = Object.keys(flag.variants).sort();
  const variantOf = (value: boolean) =>
    names.find((name) => {
      const variant = flag.variants[name];
      return variant !== undefined && fromValue(variant) === value;
    });
  const on = variantOf(true);
  return create(TargetingSchema, {
    offVariant: variantOf(false) ?? "",
    ...(on !== undefined && { default: { kind: { case: "variant", value: on } } }),
  });
}

/** Gives each rule without an id the first `rule-N` that is free. Changes the targeting. */
export function withRuleIds(targeting: Targeting): Targeting {
  const taken = new Set(targeting.rules.map((rule) => rule.id));
  let number = 1;
  for (const rule of targeting.rules) {
    if (rule.id !== "") continue;
    while (taken.has(`rule-${number}`)) number++;
    rule.id = `rule-${number}`;
    taken.add(rule.id);
  }
  return targeting;
}
