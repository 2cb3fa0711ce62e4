import type { Context } from "../../engine/index.js";

/**
 * Contexts that flags were evaluated for lately, of environments that keep some (see Environment.keep_contexts): in one place for
 * all processes of the service. Whoever keeps some has left private attributes out.
 */
export interface KeptContexts {
  /**
   * Keeps some, as the newest. One like another takes its place. `sinceMs`: since when they were collected, in milliseconds since
   * 1970; if that was before the environment began to keep contexts, or before attributes became private, none are kept.
   */
  keep(environment: string, contexts: readonly Context[], sinceMs?: number): Promise<void>;
  /** All that are kept, the newest first. */
  list(environment: string): Promise<readonly KeptContext[]>;
  /** How many are kept. Between processes the contexts themselves are megabytes. */
  count(environment: string): Promise<number>;
}

export interface KeptContext {
  readonly context: Context;
  /** When it was kept, in milliseconds since 1970. */
  readonly keptMs: number;
}

/** Keeps nothing. */
export const noContexts: KeptContexts = {
  keep: async () => undefined,
  list: async () => [],
  count: async () => 0,
};
