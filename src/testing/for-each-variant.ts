import type { Override, TestFlags } from "./test-flags.js";
import { type TestValue, variant as variantNamed } from "./test-value.js";

/** Registers a test: `test` or `it` of vitest, jest or node:test. */
export type RegisterTest<R> = (name: string, body: () => Promise<void>) => R;

/** A run with one variant. */
export interface VariantRun<T extends TestValue = TestValue> {
  readonly flagKey: string;
  readonly variant: string;
  readonly value: T;
}

/** A run with one variant of each of several flags. */
export interface CombinationRun {
  /** Variants by flag. */
  readonly variants: Readonly<Record<string, string>>;
  /** Values by flag. */
  readonly values: Readonly<Record<string, TestValue>>;
}

/** Takes what the runner gives to a test, such as its context, as the second argument. */
export type RunBody<Run> = (run: Run, context: unknown) => unknown;

/**
 * Registers one test for each variant of a flag. While it runs, the flag serves that variant, and as before afterwards,
 * whether it fails or not. Returns what the runner gave for each. Tests of the same flags must not run at the same time: those
 * would see each other's overrides, so that they fail, and say so. Throws for a flag that there is not.
 */
export function forEachVariant<R, T extends TestValue = TestValue>(
  test: RegisterTest<R>,
  flags: TestFlags,
  flagKey: string,
  name: string,
  body: RunBody<VariantRun<T>>,
): R[] {
  const values = flags.variants(flagKey);
  return Object.keys(values).map((variant) => {
    const run = { flagKey, variant, value: values[variant] as T };
    return test(`${name} (${flagKey}: ${variant})`, withVariants(flags, { [flagKey]: variant }, run, body));
  });
}

/** Registers one test for each combination of variants of several flags; otherwise like `forEachVariant`. */
export function forEachCombination<R>(
  test: RegisterTest<R>,
  flags: TestFlags,
  flagKeys: readonly string[],
  name: string,
  body: RunBody<CombinationRun>,
): R[] {
  return combinations(flags, flagKeys).map((run) => {
    const shown = flagKeys.map((key) => `${key}: ${run.variants[key]}`).join(", ");
    return test(`${name} (${shown})`, withVariants(flags, run.variants, run, body));
  });
}

/** A hundred tests by one line may be meant, ten thousand cannot be. */
const MAX_COMBINATIONS = 1_000;

function combinations(flags: TestFlags, flagKeys: readonly string[]): CombinationRun[] {
  let runs: CombinationRun[] = [{ variants: {}, values: {} }];
  for (const key of new Set(flagKeys)) {
    const entries = Object.entries(flags.variants(key));
    if (runs.length * entries.length > MAX_COMBINATIONS) {
      throw new RangeError(`${flagKeys.join(", ")} have more than ${MAX_COMBINATIONS} combinations of variants`);
    }
    runs = runs.flatMap(({ variants, values }) =>
      entries.map(([variant, value]) => ({
        variants: { ...variants, [key]: variant },
        values: { ...values, [key]: value },
      })),
    );
  }
  return runs;
}

/** Flags of which a test of ours is running. */
const busy = new WeakSet<TestFlags>();

function withVariants<Run>(
  flags: TestFlags,
  variants: Readonly<Record<string, string>>,
  run: Run,
  body: RunBody<Run>,
): () => Promise<void> {
  // Without parameters, because runners look at them: jest would wait for a callback, vitest take them for fixtures.
  return async function runWithVariants() {
    // biome-ignore lint/complexity/noArguments: see above.
    const [context] = arguments as unknown as readonly unknown[];
    if (busy.has(flags)) {
      throw new Error("another test with these flags is running; run them one by one, or give each its own flags");
    }
    busy.add(flags);
    const overrides: Override[] = [];
    try {
      for (const [key, name] of Object.entries(variants)) overrides.push(flags.override(key, variantNamed(name)));
      await body(run, context);
    } finally {
      for (const override of overrides.reverse()) override.restore();
      busy.delete(flags);
    }
  };
}
