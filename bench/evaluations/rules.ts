import type { JsonObject } from "@bufbuild/protobuf";
import type { Caller } from "./callers.js";

/** A rule's match, with the same test in plain code. */
export type TestedMatch = readonly [match: JsonObject, holds: (caller: Caller) => boolean];

/** Ten rules of as many operators. */
export const mixedRules: readonly TestedMatch[] = [
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

/** Ten rules that compare texts, those of the comparison with other SDKs. The last holds for one caller in 55, the others for none. */
export const textRules: readonly TestedMatch[] = [
  isOneOf("country", ["SE", "FI", "DK"]),
  isOneOf("plan", ["trial", "student", "education"]),
  isOneOf("email", ["ann@mail.example.net", "bob@mail.example.net", "eve@mail.example.net"]),
  isOneOf("version", ["0.9.0", "0.9.1", "0.9.2"]),
  isOneOf("country", ["CN", "KR", "TW"]),
  isOneOf("plan", ["partner", "reseller", "internal"]),
  isOneOf("email", ["qa1@example.com", "qa2@example.com", "qa3@example.com"]),
  isOneOf("version", ["7.0.0", "7.1.0", "7.2.0"]),
  isOneOf("country", ["AR", "CL", "UY"]),
  isOneOf("version", ["5.10.0", "5.11.0", "5.12.0"]),
];

function isOneOf(attribute: "country" | "plan" | "version" | "email", values: string[]): TestedMatch {
  return [{ attribute, operator: "in", values }, (caller) => values.includes(caller[attribute])];
}

/** Whether any of the rules matches. */
export function matchesAny(rules: readonly TestedMatch[], caller: Caller): boolean {
  return rules.some(([, holds]) => holds(caller));
}
