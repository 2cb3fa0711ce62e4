import { getClient, PollingMode, SettingType, UserComparator } from "@configcat/sdk";
import type { Caller } from "../../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "../flags.js";
import type { Sdk } from "../sdk.js";

/** ConfigCat's SDK, its flags in the form that its service sends. */
export async function openConfigCat(callers: readonly Caller[]): Promise<Sdk> {
  const client = getClient("configcat-sdk-1/0000000000000000000000/0000000000000000000000", PollingMode.ManualPoll, {
    offline: true,
    cache: { get: () => `${Date.now()}\n\n${JSON.stringify(config)}`, set: () => {} },
  });
  await client.waitForReady();
  const users = callers.map(({ targetingKey: identifier, country, plan, age, email, version, cohort }) => ({
    identifier,
    email,
    country,
    custom: { plan, age, version, cohort },
  }));
  return {
    name: "@configcat/sdk",
    call: "`snapshot().getValue`, the synchronous one; one snapshot for a pass over the users, which are made ahead",
    note: "a config JSON by the `cache` option, offline; comparisons of plain text, not of hashed text",
    runs: {
      static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          const snapshot = client.snapshot();
          for (const user of users) if (snapshot.getValue("static", false, user)) yes++;
        }
        return [yes];
      },
      "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          const snapshot = client.snapshot();
          for (const user of users) if (snapshot.getValue("two-conditions", false, user)) yes++;
        }
        return [yes];
      },
      rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          const snapshot = client.snapshot();
          for (const user of users) {
            const value = snapshot.getValue("rollout", "none", user);
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
          const snapshot = client.snapshot();
          for (const user of users) {
            const value = snapshot.getValue("ten-rules", "none", user);
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
      client.dispose();
    },
  };
}

/** The names that the SDK has for its own fields of a user; other attributes keep theirs. */
const attributes = { country: "Country", email: "Email", plan: "plan", version: "version" } as const;

const toCondition = ({ attribute, values }: Membership) => ({
  u: { a: attributes[attribute], c: UserComparator.TextIsOneOf, l: values },
});
const toText = (value: string) => ({ v: { s: value }, i: value });
const percentages = shares.map(({ answer, percent }) => ({ p: percent, ...toText(answer) }));
const on = { v: { b: true }, i: "on" };
const off = { v: { b: false }, i: "off" };

/** The schema is ConfigCat's `config_v6.json`. */
const config = {
  p: { u: "http://127.0.0.1:9", r: 0, s: "salt" },
  f: {
    static: { t: SettingType.Boolean, ...on },
    "two-conditions": { t: SettingType.Boolean, r: [{ c: bothConditions.map(toCondition), s: on }], ...off },
    rollout: { t: SettingType.String, p: percentages, ...toText("none") },
    "ten-rules": {
      t: SettingType.String,
      r: tenRules.map((rule) => ({ c: [toCondition(rule)], s: toText(special) })),
      p: percentages,
      ...toText("none"),
    },
  },
};
