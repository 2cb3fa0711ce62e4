import type { Caller } from "../evaluations/callers.js";
import type { Counts, FlagKey } from "./sdk.js";

/** The attributes that rules look at. All are strings. */
export type RuleAttribute = "country" | "plan" | "email" | "version";

/** Holds where the attribute is one of the values: the one test of strings that all SDKs have, and mean alike. */
export interface Membership {
  readonly attribute: RuleAttribute;
  readonly values: readonly string[];
}

/** What the rollout's buckets answer. Whole percents, because one SDK has no finer ones. */
export const shares = [
  { answer: "first", percent: 33 },
  { answer: "second", percent: 33 },
  { answer: "third", percent: 34 },
] as const;

/** What the ten rules answer. */
export const special = "special";

/** The rule of `two-conditions`: both must hold. */
export const bothConditions: readonly Membership[] = [
  { attribute: "country", values: ["DE", "FR"] },
  { attribute: "plan", values: ["pro", "enterprise"] },
];

/** The rules of `ten-rules`, each with one condition. The last one holds for one caller in 55, the others for none. */
export const tenRules: readonly Membership[] = [
  { attribute: "country", values: ["SE", "FI", "DK"] },
  { attribute: "plan", values: ["trial", "student", "education"] },
  { attribute: "email", values: ["ann@mail.example.net", "bob@mail.example.net", "eve@mail.example.net"] },
  { attribute: "version", values: ["0.9.0", "0.9.1", "0.9.2"] },
  { attribute: "country", values: ["CN", "KR", "TW"] },
  { attribute: "plan", values: ["partner", "reseller", "internal"] },
  { attribute: "email", values: ["qa1@example.com", "qa2@example.com", "qa3@example.com"] },
  { attribute: "version", values: ["7.0.0", "7.1.0", "7.2.0"] },
  { attribute: "country", values: ["AR", "CL", "UY"] },
  { attribute: "version", values: ["5.10.0", "5.11.0", "5.12.0"] },
];

interface FlagDescription {
  readonly key: FlagKey;
  readonly title: string;
  /** Throws where the counts of one pass over the callers cannot be right. */
  readonly check: (counts: Counts, callers: readonly Caller[]) => void;
}

/** What every SDK must answer, in plain code. */
export const flags: readonly FlagDescription[] = [
  { key: "static", title: "On for all", check: (counts, callers) => checkExact(counts, [callers.length]) },
  {
    key: "two-conditions",
    title: "One rule of two conditions",
    check: (counts, callers) => checkExact(counts, [callers.filter(holdsAll).length]),
  },
  {
    key: "rollout",
    title: "Three-way rollout by targeting key",
    check: (counts, callers) => checkShares(counts, 0, callers),
  },
  {
    key: "ten-rules",
    title: "Ten rules, then the rollout",
    check: (counts, callers) => checkShares(counts, callers.filter(holdsAny).length, callers),
  },
];

const holds = (caller: Caller, { attribute, values }: Membership): boolean => values.includes(caller[attribute]);
const holdsAll = (caller: Caller): boolean => bothConditions.every((condition) => holds(caller, condition));
const holdsAny = (caller: Caller): boolean => tenRules.some((condition) => holds(caller, condition));

function checkExact(counts: Counts, expected: Counts): void {
  if (counts.join() !== expected.join()) throw new Error(`answered ${counts.join()}, expected ${expected.join()}`);
}

/** All callers have an answer, `specials` of them by a rule; of the rest each share is within four standard deviations. */
function checkShares(counts: Counts, specials: number, callers: readonly Caller[]): void {
  const rest = callers.length - specials;
  checkExact([counts[3] ?? 0, counts.reduce((sum, count) => sum + count, 0)], [specials, callers.length]);
  for (const [index, { answer, percent }] of shares.entries()) {
    const expected = (rest * percent) / 100;
    const deviation = Math.sqrt(expected * (1 - percent / 100));
    const count = counts[index] ?? 0;
    if (Math.abs(count - expected) > 4 * deviation) {
      throw new Error(`answered ${answer} ${count} times of ${rest}, expected ${percent} %`);
    }
  }
}
