/** Throws if an invariant of ours does not hold. Never for input: input is answered, not asserted. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${message}`);
}

/** Makes the compiler prove that a union is handled in full. */
export function unreachable(value: never): never {
  throw new Error(`invariant violated: unexpected ${JSON.stringify(value)}`);
}
