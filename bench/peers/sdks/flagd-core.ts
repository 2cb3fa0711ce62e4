import { FlagdCore } from "@openfeature/flagd-core";
import type { Caller } from "../../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "../flags.js";
import type { Sdk } from "../sdk.js";

/** The engine of flagd's in-process provider, without the provider and OpenFeature's client around it. */
export async function openFlagdCore(callers: readonly Caller[]): Promise<Sdk> {
  const core = new FlagdCore();
  core.setConfigurations(JSON.stringify({ flags: flagFile }));
  const contexts = callers.map(({ targetingKey, country, plan, age, email, version, cohort }) => ({
    targetingKey,
    country,
    plan,
    age,
    email,
    version,
    cohort,
  }));
  return {
    name: "@openfeature/flagd-core",
    call: "`resolveBooleanEvaluation` or `resolveStringEvaluation`, `.value`",
    note: "flags by `setConfigurations`, rules compiled (its default); every answer is an object with reason and variant",
    runs: {
      static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) if (core.resolveBooleanEvaluation("static", false, context).value) yes++;
        }
        return [yes];
      },
      "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            if (core.resolveBooleanEvaluation("two-conditions", false, context).value) yes++;
          }
        }
        return [yes];
      },
      rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            const { value } = core.resolveStringEvaluation("rollout", "none", context);
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
          }
        }
        return [first, second, third];
      },
      "ten-rules"(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        let specials = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            const { value } = core.resolveStringEvaluation("ten-rules", "none", context);
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
            else if (value === special) specials++;
          }
        }
        return [first, second, third, specials];
      },
    },
    async [Symbol.asyncDispose]() {},
  };
}

const isOneOf = ({ attribute, values }: Membership) => ({ in: [{ var: attribute }, values] });
const fractional = { fractional: shares.map(({ answer, percent }) => [answer, percent]) };
const onOff = { state: "ENABLED", variants: { on: true, off: false } };
const texts = Object.fromEntries([...shares.map(({ answer }) => answer), special].map((text) => [text, text]));

const flagFile = {
  static: { ...onOff, defaultVariant: "on" },
  "two-conditions": {
    ...onOff,
    defaultVariant: "off",
    targeting: { if: [{ and: bothConditions.map(isOneOf) }, "on", "off"] },
  },
  rollout: { state: "ENABLED", variants: texts, defaultVariant: "third", targeting: fractional },
  "ten-rules": {
    state: "ENABLED",
    variants: texts,
    defaultVariant: "third",
    targeting: { if: [...tenRules.flatMap((rule) => [isOneOf(rule), special]), fractional] },
  },
};
