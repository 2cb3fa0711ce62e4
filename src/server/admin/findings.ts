import { invalidArgument } from "../environment.js";
import { type FieldViolation, Refusal } from "../refusal.js";
import type { Finding } from "../validate/change-set.js";

/** How many offending fields one answer names: it must fit into a response's trailers. */
const MAX_VIOLATIONS = 100;

/**
 * The refusal of a write whose result would be malformed. What the write itself got wrong is INVALID_ARGUMENT; what it would
 * break elsewhere is FAILED_PRECONDITION, with `brokenReason`.
 */
export function refuseFindings(findings: readonly Finding[], brokenReason: string): Refusal {
  const own = findings.filter((finding) => finding.touched);
  if (own.length > 0) return invalidArgument(shorten(toViolations(own)));
  const users = [...new Set(findings.map(({ kind, key, environment }) => `${kind} ${key} (${environment})`))];
  const list = users.slice(0, 5).join(", ") + (users.length > 5 ? ` and ${users.length - 5} more` : "");
  return new Refusal("FAILED_PRECONDITION", brokenReason, `it is in use by ${list}`, {
    violations: shorten(findings.map((finding) => ({ field: finding.field, description: describe(finding) }))),
  });
}

/** Each once: what a write says of all environments is found wrong in each of them. */
function toViolations(findings: readonly Finding[]): FieldViolation[] {
  const byText = new Map<string, FieldViolation>();
  for (const { field, description } of findings) byText.set(`${field}\n${description}`, { field, description });
  return [...byText.values()];
}

function describe({ kind, key, environment, description }: Finding): string {
  return `${kind} ${key} in ${environment}: ${description}`;
}

function shorten(violations: readonly FieldViolation[]): readonly FieldViolation[] {
  if (violations.length <= MAX_VIOLATIONS) return violations;
  const more = violations.length - MAX_VIOLATIONS;
  return [...violations.slice(0, MAX_VIOLATIONS), { field: "", description: `and ${more} more` }];
}
