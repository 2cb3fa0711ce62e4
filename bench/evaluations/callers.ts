/** A caller as the flags of the workloads see one. All have the same shape, as contexts that one place of a program makes. */
export interface Caller {
  readonly targetingKey: string;
  readonly country: string;
  readonly plan: string;
  readonly age: number;
  readonly email: string;
  readonly version: string;
  readonly cohort: number;
  readonly [attribute: string]: string | number;
}

const countries = ["DE", "FR", "US", "BR", "IN", "JP", "ZA", "NO"];
const plans = ["free", "free", "free", "pro", "enterprise"];

/**
 * So many distinct callers, the same in every run. They have been JSON, as most contexts have: a text that was just put
 * together is not yet one in V8, and slower to read.
 */
export function createCallers(count: number): Caller[] {
  const callers: Caller[] = Array.from({ length: count }, (_, index) => ({
    targetingKey: targetingKeyOf(index),
    country: countries[index % countries.length] ?? "",
    plan: plans[index % plans.length] ?? "",
    age: 18 + (index % 60),
    email: `user${index}@${index % 97 === 0 ? "example.com" : "mail.example.net"}`,
    version: `${1 + (index % 5)}.${index % 11}.0`,
    cohort: index % 100,
  }));
  return JSON.parse(JSON.stringify(callers)) as Caller[];
}

/** A caller with an integer that identifies it too. */
export interface AccountCaller extends Caller {
  readonly account: number;
}

/** The same callers, each with an account. */
export function createAccountCallers(count: number): AccountCaller[] {
  const callers = createCallers(count).map((caller, index) => ({ ...caller, account: 1_000_000 + index * 37 }));
  return JSON.parse(JSON.stringify(callers)) as AccountCaller[];
}

/** The targeting key of one of the callers. */
export function targetingKeyOf(index: number): string {
  return `user-${(index * 2_654_435_761) % 4_294_967_296}`;
}
