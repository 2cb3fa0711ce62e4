import { Refusal } from "./refusal.js";

/** The environment that exists from the first start, and that requests mean which name none. */
export const DEFAULT_ENVIRONMENT = "production";

export function environmentNotFound(name: string): Refusal {
  return new Refusal("NOT_FOUND", "ENVIRONMENT_NOT_FOUND", `there is no environment ${JSON.stringify(name)}`, {
    metadata: { environment: name },
  });
}

export function flagNotFound(key: string): Refusal {
  return new Refusal("NOT_FOUND", "FLAG_NOT_FOUND", `there is no flag ${JSON.stringify(key)}`, {
    metadata: { flag_key: key },
  });
}

export function segmentNotFound(key: string, environment: string): Refusal {
  return new Refusal("NOT_FOUND", "SEGMENT_NOT_FOUND", `there is no segment ${JSON.stringify(key)} in ${environment}`, {
    metadata: { segment_key: key, environment },
  });
}

/** A request with offending fields. */
export function invalidArgument(violations: readonly { field: string; description: string }[]): Refusal {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  const message = first ? `${first.field}: ${first.description}${more}` : "the request is invalid";
  return new Refusal("INVALID_ARGUMENT", "INVALID_FIELDS", message, { violations });
}
