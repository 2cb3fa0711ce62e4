import { vi } from "vitest";

/**
 * How long a test waits for a condition unless it says otherwise. The runner's own second is less than a busy machine may need
 * for anything.
 */
const PATIENT = { timeout: 30_000, interval: 5 };

type WaitFor = typeof vi.waitFor;
const shared: typeof globalThis & { flagwireRunnersWaitFor?: WaitFor } = globalThis;
// Files that share a process have this run for each of them, and one runner.
shared.flagwireRunnersWaitFor ??= vi.waitFor;
const waitFor = shared.flagwireRunnersWaitFor;

vi.waitFor = (callback, options) =>
  waitFor(callback, typeof options === "number" ? { ...PATIENT, timeout: options } : { ...PATIENT, ...options });
