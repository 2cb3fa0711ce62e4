/** One offending field of a request, by its path, such as `targeting.rules[0].serve.variant`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** gRPC status codes that a handler may refuse with. UNKNOWN is not among them: nothing is ever answered so. */
export type RefusalCode =
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "DATA_LOSS"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED"
  | "CANCELLED";

/**
 * The answer of a handler that says no. A value, not an exception; each transport maps it to its own status once.
 * `reason` is stable and goes into `google.rpc.ErrorInfo`; `violations` into `google.rpc.BadRequest`.
 */
export class Refusal {
  constructor(
    readonly code: RefusalCode,
    /** Stable, in UPPER_SNAKE_CASE. */
    readonly reason: string,
    /** What is wrong and what to do next, for people. Never holds secrets or context attributes. */
    readonly message: string,
    readonly details: RefusalDetails = {},
  ) {}
}

/** More about a refusal. */
export interface RefusalDetails {
  readonly violations?: readonly FieldViolation[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** When to try again, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** A value, or why there is none. */
export type OrRefusal<T> = T | Refusal;

export function isRefusal(value: unknown): value is Refusal {
  return value instanceof Refusal;
}
