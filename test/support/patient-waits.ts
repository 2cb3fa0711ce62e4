import { vi } from "vitest";

/**
 * How long a test waits for a condition unless it says otherwise: as long as the test itself may take, nearly. The runner's own
 * second is less than a busy machine may need for anything.
 */
const PATIENT = { timeout: 15_000, interval: 5 };

const { waitFor } = vi;

vi.waitFor = (callback, options) =>
  waitFor(callback, typeof options === "number" ? { ...PATIENT, timeout: options } : { ...PATIENT, ...options });
