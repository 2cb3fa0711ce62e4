import type { RequestFlags } from "./request-flags.js";

/** When a flag lets a request through. */
export interface FlagRuleOptions {
  /** The variants that do, of a flag of any type. Default: a boolean flag, by `true`. */
  readonly accept?: readonly string[];
  /**
   * What happens where the flag has no answer: it does not exist, is malformed or of another type, no flags have come yet, or
   * the request's context could not be built. `deny` fails closed, and is the default; `allow` fails open. A flag that is off,
   * disabled or killed has answered, and denies.
   */
  readonly whenUnknown?: "deny" | "allow";
}

/** Whether the flags of a request let it through. */
export type FlagRule = (flags: RequestFlags) => boolean;

/** Throws a TypeError for options that cannot be meant: a rule that is misread would be open, or shut, for good. */
export function compileFlagRule(key: string, options: FlagRuleOptions = {}): FlagRule {
  const { accept, whenUnknown = "deny" } = options;
  if (typeof key !== "string" || key === "") throw new TypeError("a rule needs the key of a flag");
  if (whenUnknown !== "deny" && whenUnknown !== "allow") {
    throw new TypeError(`whenUnknown of ${key} must be "deny" or "allow"`);
  }
  const accepted = accept === undefined ? undefined : toVariants(key, accept);
  return (flags) => {
    const { errorCode, variant, value } = flags.details<unknown>(key, accepted === undefined ? false : undefined);
    if (errorCode !== undefined || flags.hasFailedContext) return whenUnknown === "allow";
    // The flag has no value to give, and a rule's default is to deny.
    if (variant === undefined) return false;
    return accepted === undefined ? value === true : accepted.has(variant);
  };
}

function toVariants(key: string, accept: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(accept) || accept.length === 0 || accept.some((variant) => typeof variant !== "string")) {
    throw new TypeError(`accept of ${key} must be a list of variants, with one at least`);
  }
  return new Set(accept);
}
