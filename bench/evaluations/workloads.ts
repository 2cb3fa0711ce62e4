import type { JsonObject } from "@bufbuild/protobuf";
import type { Flags } from "../../src/client/index.js";
import { murmur3 } from "../../src/engine/index.js";
import type { Caller } from "./callers.js";

/** One thing to do for every caller, many times. */
export interface Workload {
  readonly name: string;
  /** Does it for every caller, `passes` times, and returns how often each answer came. */
  readonly run: (callers: readonly Caller[], passes: number) => readonly number[];
  /** What one pass must count; undefined where `check` tells. */
  readonly expected?: (callers: readonly Caller[]) => readonly number[];
  readonly check?: Check;
}

/** Whether the counts of one pass can be right. */
type Check = (counts: readonly number[], callers: readonly Caller[]) => boolean;

const operational = { kind: "operational", type: "boolean", variants: { on: true, off: false } };
const off = { variant: "off" };
const on = { variant: "on" };

const isMember = ({ country, plan }: Caller): boolean =>
  (country === "DE" || country === "FR") && (plan === "pro" || plan === "enterprise");

/** Ten rules of as many operators, each with the same test in plain code. */
const mixedRules: readonly (readonly [match: JsonObject, holds: (caller: Caller) => boolean])[] = [
  [{ attribute: "country", operator: "in", values: ["NO"] }, ({ country }) => country === "NO"],
  [
    { attribute: "email", operator: "ends_with", values: ["@example.com"] },
    ({ email }) => email.endsWith("@example.com"),
  ],
  [
    { attribute: "targetingKey", operator: "starts_with", values: ["user-99"] },
    ({ targetingKey }) => targetingKey.startsWith("user-99"),
  ],
  [{ attribute: "age", operator: "greater_or_equal", values: [75] }, ({ age }) => age >= 75],
  [{ attribute: "cohort", operator: "equal", values: [42] }, ({ cohort }) => cohort === 42],
  [{ attribute: "email", operator: "contains", values: ["er77"] }, ({ email }) => email.includes("er77")],
  [{ attribute: "version", operator: "semver_less", values: ["1.1.0"] }, ({ version }) => version === "1.0.0"],
  [{ attribute: "beta", operator: "exists" }, () => false],
  [{ attribute: "age", operator: "less", values: [20] }, ({ age }) => age < 20],
  [{ attribute: "plan", operator: "in", values: ["enterprise", "partner"] }, ({ plan }) => plan === "enterprise"],
];

const cohortsOf = (rule: number): readonly number[] => [
  rule * 5,
  rule * 5 + 1,
  rule * 5 + 2,
  rule * 5 + 3,
  rule * 5 + 4,
];

/** The flags of the workloads, as a flag file in the native format. */
export const workloadFlags: JsonObject = {
  flags: [
    { key: "static", ...operational },
    { key: "two-conditions", ...operational },
    { key: "ten-rules", ...operational },
    { key: "ten-mixed-rules", ...operational },
    { key: "three-way", kind: "operational", type: "string", variants: { a: "first", b: "second", c: "third" } },
  ],
  targetings: [
    { flagKey: "static", enabled: true, offVariant: "off", default: on },
    {
      flagKey: "two-conditions",
      enabled: true,
      offVariant: "off",
      rules: [
        {
          condition: {
            all: {
              conditions: [
                { match: { attribute: "country", operator: "in", values: ["DE", "FR"] } },
                { match: { attribute: "plan", operator: "in", values: ["pro", "enterprise"] } },
              ],
            },
          },
          serve: on,
        },
      ],
      default: off,
    },
    {
      flagKey: "ten-rules",
      enabled: true,
      offVariant: "off",
      rules: Array.from({ length: 10 }, (_, rule) => ({
        condition: { match: { attribute: "cohort", operator: "in", values: [...cohortsOf(rule)] } },
        serve: on,
      })),
      default: off,
    },
    {
      flagKey: "ten-mixed-rules",
      enabled: true,
      offVariant: "off",
      rules: mixedRules.map(([match]) => ({ condition: { match }, serve: on })),
      default: off,
    },
    {
      flagKey: "three-way",
      enabled: true,
      offVariant: "c",
      default: {
        rollout: {
          shares: [
            { variant: "a", weight: 33_333 },
            { variant: "b", weight: 33_333 },
            { variant: "c", weight: 33_334 },
          ],
        },
      },
    },
  ],
};

const salt = "three-way";
const isHalf: Check = ([odd = 0], callers) => isNear(odd / callers.length, 1 / 2);

let texts: readonly string[] = [];

/** What the rollout hashes, made once. */
function textsOf(callers: readonly Caller[]): readonly string[] {
  if (texts.length !== callers.length) texts = callers.map(({ targetingKey }) => salt + targetingKey);
  return texts;
}

/** The references first. Each has a loop of its own, so that none is compiled for the others' sake. */
export function createWorkloads(flags: Flags): readonly Workload[] {
  return [
    {
      name: "empty loop over the contexts",
      run(callers, passes) {
        let total = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (caller.targetingKey !== "") total++;
        }
        return [total];
      },
      expected: (callers) => [callers.length],
    },
    {
      name: "bare murmur3 of a ready text",
      run(callers, passes) {
        const ready = textsOf(callers);
        let odd = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const text of ready) odd += murmur3(text) & 1;
        }
        return [odd];
      },
      check: isHalf,
    },
    {
      name: "bare murmur3 of salt + key",
      run(callers, passes) {
        let odd = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) odd += murmur3(salt + caller.targetingKey) & 1;
        }
        return [odd];
      },
      check: isHalf,
    },
    {
      name: "static flag",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("static", false, caller)) yes++;
        }
        return [yes];
      },
      expected: (callers) => [callers.length],
    },
    {
      name: "one rule of two conditions",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("two-conditions", false, caller)) yes++;
        }
        return [yes];
      },
      expected: (callers) => [callers.filter(isMember).length],
    },
    {
      name: "three-way rollout",
      run(callers, passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) {
            const value = flags.string("three-way", "none", caller);
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
          }
        }
        return [first, second, third];
      },
      check: (counts, callers) =>
        counts.reduce((a, b) => a + b) === callers.length &&
        counts.every((count) => isNear(count / callers.length, 1 / 3)),
    },
    {
      name: "ten rules (`in`)",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("ten-rules", false, caller)) yes++;
        }
        return [yes];
      },
      expected: (callers) => [callers.filter(({ cohort }) => cohort < 50).length],
    },
    {
      name: "ten rules of ten operators",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("ten-mixed-rules", false, caller)) yes++;
        }
        return [yes];
      },
      expected: (callers) => [callers.filter((caller) => mixedRules.some(([, holds]) => holds(caller))).length],
    },
  ];
}

/** Four standard deviations of a share of 10,000, rounded up. */
function isNear(share: number, expected: number): boolean {
  return Math.abs(share - expected) < 0.02;
}
