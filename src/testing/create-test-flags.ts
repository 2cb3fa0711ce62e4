import { type Clock, systemClock } from "../base/index.js";
import { MemoryFlags } from "./memory-flags.js";
import { readDefinitions, type TestFlagsSource } from "./read-definitions.js";
import type { TestFlags } from "./test-flags.js";

/** Options of flags in memory. */
export interface TestFlagsOptions {
  /** Which environment's settings of a flag file count: one that it names, or, by default, `production`. */
  readonly environment?: string;
  /**
   * Whether an evaluation throws where the flag does not exist or is of another type than is asked for. Default false: it
   * answers the default as a mirror does, and `unknown` tells of the former.
   */
  readonly strict?: boolean;
  /** The time that rules see as `$now`, and that waits go by. Default the system's. */
  readonly clock?: Clock;
}

/**
 * Flags in memory, for tests: what is given at first, which may be changed at any time. Throws a `TypeError` for what is no
 * flag, for a file that is none or does not name the environment, and for malformed flags, which no server would take.
 */
export function createTestFlags(source: TestFlagsSource = {}, options: TestFlagsOptions = {}): TestFlags {
  const { environment = "production", strict = false, clock = systemClock } = options;
  return new MemoryFlags({ definitions: readDefinitions(source, environment), environment, isStrict: strict, clock });
}
