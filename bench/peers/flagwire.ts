import type { JsonObject } from "@bufbuild/protobuf";
import { openMirror } from "../../src/client/index.js";
import type { Caller } from "../evaluations/callers.js";
import { bothConditions, type Membership, shares, special, tenRules } from "./flags.js";
import type { Sdk } from "./sdk.js";

/** Our mirror, by the methods of an application. */
export async function openFlagwire(callers: readonly Caller[], address: string): Promise<Sdk> {
  const flags = await openMirror({ address });
  return {
    name: "flagwire",
    call: "`flags.boolean` or `flags.string` of a mirror",
    note: "flags imported by a server that runs in a process beside this one, contexts are plain objects",
    runs: {
      static(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("static", false, caller)) yes++;
        }
        return [yes];
      },
      "two-conditions"(passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("two-conditions", false, caller)) yes++;
        }
        return [yes];
      },
      rollout(passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) {
            const value = flags.string("rollout", "none", caller);
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
          for (const caller of callers) {
            const value = flags.string("ten-rules", "none", caller);
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
      await flags.close();
    },
  };
}

const onOff = { kind: "operational", type: "boolean", variants: { on: true, off: false } };
const texts = {
  kind: "operational",
  type: "string",
  variants: Object.fromEntries([...shares.map(({ answer }) => answer), special].map((text) => [text, text])),
};

const toCondition = ({ attribute, values }: Membership): JsonObject => ({
  match: { attribute, operator: "in", values: [...values] },
});
const rollout: JsonObject = {
  rollout: { shares: shares.map(({ answer, percent }) => ({ variant: answer, weight: percent * 1000 })) },
};

/** The flags as a flag file in the native format. */
export const flagFile: JsonObject = {
  flags: [
    { key: "static", ...onOff },
    { key: "two-conditions", ...onOff },
    { key: "rollout", ...texts },
    { key: "ten-rules", ...texts },
  ],
  targetings: [
    { flagKey: "static", enabled: true, offVariant: "off", default: { variant: "on" } },
    {
      flagKey: "two-conditions",
      enabled: true,
      offVariant: "off",
      rules: [{ condition: { all: { conditions: bothConditions.map(toCondition) } }, serve: { variant: "on" } }],
      default: { variant: "off" },
    },
    { flagKey: "rollout", enabled: true, offVariant: "third", default: rollout },
    {
      flagKey: "ten-rules",
      enabled: true,
      offVariant: "third",
      rules: tenRules.map((rule) => ({ condition: toCondition(rule), serve: { variant: special } })),
      default: rollout,
    },
  ],
};
