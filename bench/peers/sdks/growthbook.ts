import { type FeatureRule, GrowthBookClient } from "@growthbook/growthbook";
import type { Caller } from "../../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "../flags.js";
import type { Sdk } from "../sdk.js";

/** GrowthBook's client for servers, which takes a user with each call. */
export async function openGrowthBook(callers: readonly Caller[]): Promise<Sdk> {
  const client = new GrowthBookClient().initSync({ payload: { features } });
  const users = callers.map(({ targetingKey: id, country, plan, age, email, version, cohort }) => ({
    attributes: { id, country, plan, age, email, version, cohort },
  }));
  return {
    name: "@growthbook/growthbook",
    call: "`GrowthBookClient#isOn` or `#getFeatureValue`, with a user context for each user made ahead",
    note: "features by `initSync`, the rollout an experiment rule of hash version 2, no tracking",
    runs: {
      static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const user of users) if (client.isOn("static", user)) yes++;
        }
        return [yes];
      },
      "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const user of users) if (client.isOn("two-conditions", user)) yes++;
        }
        return [yes];
      },
      rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const user of users) {
            const value = client.getFeatureValue("rollout", "none", user);
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
          for (const user of users) {
            const value = client.getFeatureValue("ten-rules", "none", user);
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
            else if (value === special) specials++;
          }
        }
        return [first, second, third, specials];
      },
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

const toCondition = (conditions: readonly Membership[]) =>
  Object.fromEntries(conditions.map(({ attribute, values }) => [attribute, { $in: [...values] }]));

const toExperiment = (key: string): FeatureRule<string> => ({
  id: `${key}-experiment`,
  key,
  seed: key,
  hashAttribute: "id",
  hashVersion: 2,
  coverage: 1,
  variations: shares.map(({ answer }) => answer),
  weights: shares.map(({ percent }) => percent / 100),
});

const features = {
  static: { defaultValue: true },
  "two-conditions": {
    defaultValue: false,
    rules: [{ id: "both", condition: toCondition(bothConditions), force: true }],
  },
  rollout: { defaultValue: "none", rules: [toExperiment("rollout")] },
  "ten-rules": {
    defaultValue: "none",
    rules: [
      ...tenRules.map((rule, index) => ({ id: `rule-${index}`, condition: toCondition([rule]), force: special })),
      toExperiment("ten-rules"),
    ],
  },
};
