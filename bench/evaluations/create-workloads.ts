import type { EvaluationDetails, Flags } from "../../src/client/index.js";
import { murmur3 } from "../../src/engine/index.js";
import type { Caller } from "./callers.js";
import { matchesAny, mixedRules, textRules } from "./rules.js";

/** One thing to do for every caller, many times. */
export interface Workload {
  readonly name: string;
  /** Whether it is measured only to compare the others with. */
  readonly isReference: boolean;
  /** Does it for every caller, `passes` times, and returns how often each answer came. */
  readonly run: (callers: readonly Caller[], passes: number) => readonly number[];
  /** Whether the counts of one pass can be right. */
  readonly check: (counts: readonly number[], callers: readonly Caller[]) => boolean;
}

type Check = Workload["check"];

const isMember = ({ country, plan }: Caller): boolean => (country === "DE" || country === "FR") && isPaying({ plan });
const isPaying = ({ plan }: Pick<Caller, "plan">): boolean => plan === "pro" || plan === "enterprise";

const salt = "three-way";
const isHalf: Check = ([some = 0], callers) => isNear(some / callers.length, 1 / 2);
const isEveryone: Check = ([some], callers) => some === callers.length;

/** One count: of those for whom something holds. */
function countsThose(holds: (caller: Caller, index: number) => boolean): Check {
  return ([some], callers) => some === callers.filter(holds).length;
}

/** An answer that somebody keeps, so that it is made at all. */
let kept: EvaluationDetails<boolean> | undefined;
let texts: readonly string[] = [];

/** What the rollout hashes, made once. */
function textsOf(callers: readonly Caller[]): readonly string[] {
  if (texts.length !== callers.length) texts = callers.map(({ targetingKey }) => salt + targetingKey);
  return texts;
}

/** What the other workloads are compared with: the one thing that a rollout cannot do without. */
export const bareHash = "bare murmur3 of a ready text";

/** The references first. Each has a loop of its own, so that none is compiled for the others' sake. */
export function createWorkloads(flags: Flags): readonly Workload[] {
  const references: readonly Omit<Workload, "isReference">[] = [
    {
      name: "empty loop over the contexts",
      run(callers, passes) {
        let total = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (caller.targetingKey !== "") total++;
        }
        return [total];
      },
      check: isEveryone,
    },
    {
      name: bareHash,
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
  ];
  const workloads: readonly Omit<Workload, "isReference">[] = [
    {
      name: "static flag",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("static", false, caller)) yes++;
        }
        return [yes];
      },
      check: isEveryone,
    },
    {
      name: "unknown flag",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("no-such-flag", true, caller)) yes++;
        }
        return [yes];
      },
      check: isEveryone,
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
      check: countsThose(isMember),
    },
    {
      name: "the same as a prerequisite",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("needs-two-conditions", false, caller)) yes++;
        }
        return [yes];
      },
      check: countsThose(isMember),
    },
    {
      name: "the same, `details`",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) {
            kept = flags.details("two-conditions", false, caller);
            if (kept.value) yes++;
          }
        }
        return [yes];
      },
      check: countsThose(isMember),
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
      check: (counts, callers) => isThirds(counts, callers.length),
    },
    {
      name: "rollout by an integer",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("by-account", false, caller)) yes++;
        }
        return [yes];
      },
      check: isHalf,
    },
    {
      name: "ten rules of texts, then a rollout",
      run(callers, passes) {
        let first = 0;
        let second = 0;
        let third = 0;
        let special = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) {
            const value = flags.string("ten-text-rules", "none", caller);
            if (value === "first") first++;
            else if (value === "second") second++;
            else if (value === "third") third++;
            else if (value === "special") special++;
          }
        }
        return [first, second, third, special];
      },
      check: ([first = 0, second = 0, third = 0, special = 0], callers) => {
        const matched = callers.filter((caller) => matchesAny(textRules, caller)).length;
        return special === matched && isThirds([first, second, third], callers.length - matched);
      },
    },
    {
      name: "ten rules (`in` of integers)",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("ten-rules", false, caller)) yes++;
        }
        return [yes];
      },
      check: countsThose(({ cohort }) => cohort < 50),
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
      check: countsThose((caller) => matchesAny(mixedRules, caller)),
    },
    {
      name: "a segment of 1,000 keys",
      run(callers, passes) {
        let yes = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.boolean("in-thousand", false, caller)) yes++;
        }
        return [yes];
      },
      check: countsThose((_, index) => index % 20 === 0),
    },
    {
      name: "one rule, `number`",
      run(callers, passes) {
        let high = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.number("discount", 0, caller) > 1) high++;
        }
        return [high];
      },
      check: countsThose(isPaying),
    },
    {
      name: "one rule, `object`",
      run(callers, passes) {
        const fallback = { seats: 0 };
        let many = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) if (flags.object("limits", fallback, caller).seats > 5) many++;
        }
        return [many];
      },
      check: countsThose(isPaying),
    },
  ];
  return [
    ...references.map((workload) => ({ ...workload, isReference: true })),
    ...workloads.map((workload) => ({ ...workload, isReference: false })),
  ];
}

function isThirds(counts: readonly number[], total: number): boolean {
  return counts.reduce((a, b) => a + b) === total && counts.every((count) => isNear(count / total, 1 / 3));
}

/** Four standard deviations of a share of 10,000, rounded up. */
function isNear(share: number, expected: number): boolean {
  return Math.abs(share - expected) < 0.02;
}
