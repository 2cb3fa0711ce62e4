import { corsOriginProblem } from "./http/cors-origin.js";

/** What the server lets callers over plain HTTP do. */
export interface WebOptions {
  /**
   * Origins, such as `https://app.example.com`, whose pages may ask this server for answers from a browser; `*` for all. Never
   * for administration. Default none.
   */
  readonly corsOrigins: readonly string[];
  /** How many OFREP requests a second each client address may make, in each process; beyond that 429. 0: any number. Default 0. */
  readonly ofrepRequestsPerSecond: number;
}

export const defaultWebOptions: WebOptions = { corsOrigins: [], ofrepRequestsPerSecond: 0 };

/** All options. Throws a RangeError that says what is wrong with one. */
export function completeWebOptions(options: Partial<WebOptions> = {}): WebOptions {
  const { corsOrigins, ofrepRequestsPerSecond } = { ...defaultWebOptions, ...options };
  for (const origin of corsOrigins) {
    const problem = corsOriginProblem(origin);
    if (problem !== undefined) throw new RangeError(`corsOrigins: ${problem}`);
  }
  if (!Number.isFinite(ofrepRequestsPerSecond) || ofrepRequestsPerSecond < 0) {
    throw new RangeError(`ofrepRequestsPerSecond: ${ofrepRequestsPerSecond} is not a number from 0 on`);
  }
  return { corsOrigins, ofrepRequestsPerSecond };
}
