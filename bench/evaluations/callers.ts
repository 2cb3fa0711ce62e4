/** A caller as the flags of the workloads see one. All have the same shape, as contexts that one place of a program makes. */
export interface Caller {
  readonly targetingKey: string;
  readonly country: string;
  readonly plan: string;
  readonly age: number;
  readonly email: string;
  readonly version: string;
  readonly cohort: number;
  readonly [attribute: string]: unknown;
}

const countries = ["DE", "FR", "US", "BR", "IN", "JP", "ZA", "NO"];
const plans = ["free", "free", "free", "pro", "enterprise"];

/**
 * So many distinct callers, the same in every run. They have been JSON, as most contexts have: a text that was just put
 * together is not yet one in V8, and slower to read.
 */
export function createCallers(count: number): Caller[] {
  const callers: Caller[] = Array.from({ length: count }, (_, index) => ({
    targetingKey: `user-${(index * 2_654_435_761) % 4_294_967_296}`,
    country: countries[index % countries.length] ?? "",
    plan: plans[index % plans.length] ?? "",
    age: 18 + (index % 60),
    email: `user${index}@${index % 97 === 0 ? "example.com" : "mail.example.net"}`,
    version: `${1 + (index % 5)}.${index % 11}.0`,
    cohort: index % 100,
  }));
  return JSON.parse(JSON.stringify(callers)) as Caller[];
}
