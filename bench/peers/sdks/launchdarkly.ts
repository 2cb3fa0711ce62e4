import { basicLogger, init } from "@launchdarkly/node-server-sdk";
import { TestData } from "@launchdarkly/node-server-sdk/integrations";
import type { Caller } from "../../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "../flags.js";
import type { Sdk } from "../sdk.js";

/** LaunchDarkly's server SDK, its flags in the form that its service sends. */
export async function openLaunchDarkly(callers: readonly Caller[]): Promise<Sdk> {
  const data = new TestData();
  for (const flag of flags) await data.usePreconfiguredFlag(flag);
  const client = init("sdk-key", {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: basicLogger({ level: "warn" }),
  });
  await client.waitForInitialization({ timeout: 10 });
  const contexts = callers.map(({ targetingKey: key, country, plan, age, email, version, cohort }) => ({
    kind: "user",
    key,
    country,
    plan,
    age,
    email,
    version,
    cohort,
  }));
  return {
    name: "@launchdarkly/node-server-sdk",
    call: "`await boolVariation` or `await stringVariation`; it has no synchronous one",
    note: "flags by the `TestData` integration's `usePreconfiguredFlag`, events off",
    runs: {
      async static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) if (await client.boolVariation("static", context, false)) yes++;
        }
        return [yes];
      },
      async "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) if (await client.boolVariation("two-conditions", context, false)) yes++;
        }
        return [yes];
      },
      async rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            const value = await client.stringVariation("rollout", context, "none");
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
          }
        }
        return [first, second, third];
      },
      async "ten-rules"(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        let specials = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const context of contexts) {
            const value = await client.stringVariation("ten-rules", context, "none");
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
      client.close();
    },
  };
}

const on = 0;
const off = 1;
/** The index of `special` among the variations of a text flag. */
const specialIndex = shares.length;

const toClause = ({ attribute, values }: Membership) => ({
  contextKind: "user",
  attribute,
  op: "in",
  values,
  negate: false,
});
const rollout = {
  rollout: {
    contextKind: "user",
    variations: shares.map(({ percent }, variation) => ({ variation, weight: percent * 1000 })),
  },
};

const toFlag = (key: string, rest: object) => ({
  key,
  version: 1,
  on: true,
  salt: key,
  offVariation: 1,
  prerequisites: [],
  targets: [],
  contextTargets: [],
  rules: [],
  trackEvents: false,
  ...rest,
});
const booleans = { variations: [true, false] };
const texts = { variations: [...shares.map(({ answer }) => answer), special] };

const flags = [
  toFlag("static", { ...booleans, fallthrough: { variation: on } }),
  toFlag("two-conditions", {
    ...booleans,
    rules: [{ id: "both", variation: on, clauses: bothConditions.map(toClause), trackEvents: false }],
    fallthrough: { variation: off },
  }),
  toFlag("rollout", { ...texts, fallthrough: rollout }),
  toFlag("ten-rules", {
    ...texts,
    rules: tenRules.map((rule, index) => ({
      id: `rule-${index}`,
      variation: specialIndex,
      clauses: [toClause(rule)],
      trackEvents: false,
    })),
    fallthrough: rollout,
  }),
];
