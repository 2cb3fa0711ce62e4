import { InMemStorageProvider, PayloadType, startUnleash, type UnleashConfig } from "unleash-client";
import type { Caller } from "../../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "../flags.js";
import type { Sdk } from "../sdk.js";

/** Unleash's server SDK, its flags in the form that its service sends. */
export async function openUnleash(callers: readonly Caller[]): Promise<Sdk> {
  const unleash = await startUnleash({
    appName: "bench",
    // Is never asked: nothing is fetched where the interval is 0.
    url: "http://127.0.0.1:9/api/",
    refreshInterval: 0,
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
    bootstrap: { data: features },
  });
  const contexts = callers.map(({ targetingKey: userId, country, plan, age, email, version, cohort }) => ({
    userId,
    properties: { country, plan, age, email, version, cohort },
  }));
  return {
    name: "unleash-client",
    call: "`isEnabled`, or `getVariant` and its payload",
    note: "features by `bootstrap`, nothing fetched, metrics off; the boolean flags by the strategy `default`, which hashes nothing; the rollout as Unleash makes one: `flexibleRollout` at 100 % with strategy variants, which hashes twice",
    runs: {
      static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) if (unleash.isEnabled("static", context)) yes++;
        }
        return [yes];
      },
      "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) if (unleash.isEnabled("two-conditions", context)) yes++;
        }
        return [yes];
      },
      rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            const value = unleash.getVariant("rollout", context).payload?.value;
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
            const value = unleash.getVariant("ten-rules", context).payload?.value;
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
      unleash.destroy();
    },
  };
}

type Feature = NonNullable<NonNullable<UnleashConfig["bootstrap"]>["data"]>[number];
type Strategy = NonNullable<Feature["strategies"]>[number];
type Variants = NonNullable<Strategy["variants"]>;

// Of an enum that the package does not export.
const oneOf = "IN" as Strategy["constraints"][number]["operator"];

const toConstraint = ({ attribute, values }: Membership) => ({
  contextName: attribute,
  operator: oneOf,
  inverted: false,
  caseInsensitive: false,
  values: [...values],
});
const toVariant = (name: string, weight: number) => ({
  name,
  weight,
  stickiness: "userId",
  payload: { type: PayloadType.STRING, value: name },
});
const toRollout = (groupId: string, constraints: readonly Membership[], variants: Variants): Strategy => ({
  name: "flexibleRollout",
  parameters: { rollout: "100", stickiness: "userId", groupId },
  constraints: constraints.map(toConstraint),
  variants,
});
const toShares = (groupId: string): Strategy =>
  toRollout(
    groupId,
    [],
    shares.map(({ answer, percent }) => toVariant(answer, percent * 10)),
  );

const features: Feature[] = [
  { name: "static", enabled: true, strategies: [{ name: "default", parameters: {}, constraints: [] }] },
  {
    name: "two-conditions",
    enabled: true,
    strategies: [{ name: "default", parameters: {}, constraints: bothConditions.map(toConstraint) }],
  },
  { name: "rollout", enabled: true, strategies: [toShares("rollout")] },
  {
    name: "ten-rules",
    enabled: true,
    strategies: [
      ...tenRules.map((rule) => toRollout("ten-rules", [rule], [toVariant(special, 1000)])),
      toShares("ten-rules"),
    ],
  },
];
