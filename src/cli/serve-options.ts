import type { Logger } from "pino";
import type { Store } from "../store/index.js";
import type { HostPort } from "./address.js";
import type { Seed } from "./seed-server.js";

export interface ServeOptions {
  readonly listen: HostPort;
  /** The data directory. */
  readonly data: string;
  /** A file to import while there is nothing else yet. */
  readonly seed: string | undefined;
  /** How many processes answer. One is this one; more are processes of their own. */
  readonly workers: number;
}

/** What a service is put together from. */
export interface ServeParts {
  /** This process's own. */
  readonly store: Store;
  readonly log: Logger;
  /** Read and found sound. */
  readonly seed: Seed | undefined;
}
