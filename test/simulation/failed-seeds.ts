/** Seeds that once found something, with what it was. They run first, each time. */
export const FAILED_SEEDS: readonly number[] = [
  // A worker began with a state that was newer than history, and clients resumed across the gap.
  1024884165,
];
