// What can differ for every flag of a kind. Said once for all of them, where people read it.

export const LIST_WARNING =
  "every flag with rules: flagd compares an attribute that is a list as a whole, or fails; here a match holds if one of its elements matches";

export const SHARES_WARNING =
  "every flag with shares: flagd's providers for Python (0.6 and later), Rust (0.3 and later) and Java (before 0.13) bucket otherwise in process, and so have an error and the caller's default; resolve by RPC or OFREP";

export const VERSIONS_WARNING =
  "every flag with versions: flagd's evaluations differ in what is a version, for attributes such as `1.2-rc.1` and `vv1.2.3` or, in Rust, `v1.2.3` and `1.2`";

const COMMON: readonly string[] = [LIST_WARNING, SHARES_WARNING, VERSIONS_WARNING];

export function isCommonWarning(description: string): boolean {
  return COMMON.includes(description);
}
