import { pino } from "pino";
import { type FlagwireServer, ListenProblem, openServer } from "../server/index.js";
import { openMemoryStore, type Store } from "../store/index.js";

/** What makes a test server, and makes it again. */
export interface ServerParts {
  openStore(): Promise<Store>;
  /** Rejects where the port cannot be had. */
  open(store: Store, port: number): Promise<FlagwireServer>;
}

/** Settings that stay when the server starts again. */
export interface ServerSettings {
  readonly host: string;
  readonly corsOrigins: readonly string[];
  /** Lets its holder in, whatever tokens there are. */
  readonly ownToken: string;
}

export function createServerParts({ host, corsOrigins, ownToken }: ServerSettings): ServerParts {
  // Errors are the server's own, which its callers are told nothing else of.
  const log = pino({ level: "error" }, process.stderr);
  return {
    openStore: openMemoryStore,
    async open(store, port) {
      const server = await openServer({ store, listen: { host, port }, web: { corsOrigins }, log, ownToken });
      if (server instanceof ListenProblem) throw new Error(`the test server cannot start: ${server.message}`);
      return server;
    },
  };
}
