/** What the server lets callers over plain HTTP do. */
export interface WebOptions {
  /**
   * Origins, such as `https://app.example.com`, whose pages may call this server from a browser; `*` for all. Default none.
   */
  readonly corsOrigins: readonly string[];
  /** How many OFREP requests a second each client address may make, in each process; beyond that 429. 0: any number. Default 0. */
  readonly ofrepRequestsPerSecond: number;
}

export const defaultWebOptions: WebOptions = { corsOrigins: [], ofrepRequestsPerSecond: 0 };
