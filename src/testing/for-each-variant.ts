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
  const values = variantsOf(flags, flagKey);
  return Object.keys(values).map((variant) => {
    const run = { flagKey, variant, value: values[variant] as T };
    const title = `${name} (${flagKey}: ${variant})`;
    return test(title, withVariants({ flags, variants: { [flagKey]: variant }, title }, run, body));
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
    const title = `${name} (${shown})`;
    return test(title, withVariants({ flags, variants: run.variants, title }, run, body));
  });
}

/** A hundred tests by one line may be meant, ten thousand cannot be. */
const MAX_COMBINATIONS = 1_000;

function combinations(flags: TestFlags, flagKeys: readonly string[]): CombinationRun[] {
  let runs: CombinationRun[] = [{ variants: {}, values: {} }];
  for (const key of new Set(flagKeys)) {
    const entries = Object.entries(variantsOf(flags, key));
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

/** Flags may come from a hook, which runs only after tests are registered. */
function variantsOf(flags: TestFlags | undefined, flagKey: string): Readonly<Record<string, TestValue>> {
  if (flags !== undefined) return flags.variants(flagKey);
  throw new TypeError(
    "there are no flags yet: make them before tests are registered, not in a hook such as beforeEach",
  );
}

/** A test of ours. */
interface VariantTest {
  readonly flags: TestFlags;
  /** By flag. */
  readonly variants: Readonly<Record<string, string>>;
  readonly title: string;
}

/** The test of ours that runs, by its flags. Its overrides end before it does where `reset` is called. */
const running = new WeakMap<TestFlags, { readonly title: string; readonly overrides: readonly Override[] }>();

function withVariants<Run>({ flags, variants, title }: VariantTest, run: Run, body: RunBody<Run>): () => Promise<void> {
  // Without parameters, because runners look at them: jest would wait for a callback, vitest take them for fixtures.
  return async function runWithVariants() {
    // biome-ignore lint/complexity/noArguments: see above.
    const [context] = arguments as unknown as readonly unknown[];
    const other = running.get(flags);
    if (other?.overrides.some(({ isActive }) => isActive)) throw new Error(stillRunning(other.title));
    const overrides: Override[] = [];
    const own = { title, overrides };
    running.set(flags, own);
    try {
      for (const [key, name] of Object.entries(variants)) overrides.push(flags.override(key, variantNamed(name)));
      await body(run, context);
    } finally {
      for (const override of overrides.toReversed()) override.restore();
      if (running.get(flags) === own) running.delete(flags);
    }
  };
}

function stillRunning(title: string): string {
  return `${JSON.stringify(title)} is still running with these flags; run such tests one by one, or give each its own flags. One that timed out runs on: flags.reset() in afterEach ends its overrides`;
}
