/**
 * What one evaluation may cost at most. These bound stack depth and time, so that no flag can hang or crash whoever
 * evaluates it; beyond them it is malformed.
 */
export const engineLimits = {
  /** Levels of lists and objects in a variant's value or a flag's metadata: what every protobuf decoder can read back. */
  valueDepth: 32,
  /** Levels of a condition tree. */
  conditionDepth: 32,
  /** How deep segments may use segments. */
  segmentDepth: 32,
  /** How deep flags may require flags. */
  prerequisiteDepth: 32,
  /**
   * Comparisons that one evaluation may need in the worst case, with everything that it pulls in counted as often as it is
   * used.
   */
  comparisons: 200_000,
  /** Characters of a regular expression. */
  patternLength: 1_024,
  /** The total weight of a rollout: the hash is scaled in 64-bit integers. */
  totalWeight: 2 ** 31 - 1,
} as const;
