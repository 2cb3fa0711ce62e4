import type { JsonObject } from "@bufbuild/protobuf";
import { targetingKeyOf } from "./callers.js";
import { mixedRules, textRules } from "./rules.js";

const operational = { kind: "operational", type: "boolean", variants: { on: true, off: false } };
const texts = {
  kind: "operational",
  type: "string",
  variants: { a: "first", b: "second", c: "third", d: "special" },
};
const off = { variant: "off" };
const on = { variant: "on" };
const enabled = { enabled: true, offVariant: "off" };

const cohortsOf = (rule: number): readonly number[] => [
  rule * 5,
  rule * 5 + 1,
  rule * 5 + 2,
  rule * 5 + 3,
  rule * 5 + 4,
];

const half: JsonObject = {
  shares: [
    { variant: "on", weight: 50_000 },
    { variant: "off", weight: 50_000 },
  ],
};
const thirds: JsonObject = {
  shares: [
    { variant: "a", weight: 33_333 },
    { variant: "b", weight: 33_333 },
    { variant: "c", weight: 33_334 },
  ],
};
const paying: JsonObject = { match: { attribute: "plan", operator: "in", values: ["pro", "enterprise"] } };

/** Every twentieth caller, and as many who never call. */
const segment: JsonObject = {
  key: "thousand",
  included: Array.from({ length: 1_000 }, (_, index) => targetingKeyOf(index * 20)),
};

/** The flags of the workloads, as a flag file in the native format. */
export const workloadFlags: JsonObject = {
  flags: [
    { key: "static", ...operational },
    { key: "two-conditions", ...operational },
    { key: "ten-rules", ...operational },
    { key: "ten-mixed-rules", ...operational },
    { key: "ten-text-rules", ...texts },
    { key: "in-thousand", ...operational },
    { key: "needs-two-conditions", ...operational },
    { key: "by-account", ...operational },
    { key: "three-way", ...texts },
    { key: "discount", kind: "operational", type: "number", variants: { off: 0.25, on: 1.5 } },
    {
      key: "limits",
      kind: "operational",
      type: "object",
      variants: { off: { seats: 5, regions: ["eu"] }, on: { seats: 500, regions: ["eu", "us"] } },
    },
  ],
  targetings: [
    { flagKey: "static", ...enabled, default: on },
    {
      flagKey: "two-conditions",
      ...enabled,
      rules: [
        {
          condition: {
            all: { conditions: [{ match: { attribute: "country", operator: "in", values: ["DE", "FR"] } }, paying] },
          },
          serve: on,
        },
      ],
      default: off,
    },
    {
      flagKey: "ten-rules",
      ...enabled,
      rules: Array.from({ length: 10 }, (_, rule) => ({
        condition: { match: { attribute: "cohort", operator: "in", values: [...cohortsOf(rule)] } },
        serve: on,
      })),
      default: off,
    },
    {
      flagKey: "ten-mixed-rules",
      ...enabled,
      rules: mixedRules.map(([match]) => ({ condition: { match }, serve: on })),
      default: off,
    },
    {
      flagKey: "ten-text-rules",
      enabled: true,
      offVariant: "c",
      rules: textRules.map(([match]) => ({ condition: { match }, serve: { variant: "d" } })),
      default: { rollout: thirds },
    },
    { flagKey: "in-thousand", ...enabled, rules: [{ condition: { segment: "thousand" }, serve: on }], default: off },
    {
      flagKey: "needs-two-conditions",
      ...enabled,
      prerequisites: [{ flagKey: "two-conditions", variants: ["on"] }],
      default: on,
    },
    { flagKey: "by-account", ...enabled, default: { rollout: { ...half, bucketBy: "account" } } },
    {
      flagKey: "three-way",
      enabled: true,
      offVariant: "c",
      default: { rollout: thirds },
    },
    { flagKey: "discount", ...enabled, rules: [{ condition: paying, serve: on }], default: off },
    { flagKey: "limits", ...enabled, rules: [{ condition: paying, serve: on }], default: off },
  ],
  segments: [segment],
};
