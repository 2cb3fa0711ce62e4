import { resolve } from "node:path";
import { openLmdbTables } from "./lmdb-tables.js";
import { damaged, isStoreProblem, messageOf, type OrStoreProblem, toStoreProblem } from "./store-problem.js";
import type { TablesSnapshot } from "./tables.js";

/**
 * Lets `action` read a data directory as it is at one moment, offline or beside a running server. What it throws becomes a
 * problem, unless `signal` has aborted.
 */
export async function readStore<T>(
  path: string,
  signal: AbortSignal | undefined,
  action: (snapshot: TablesSnapshot) => Promise<OrStoreProblem<T>>,
): Promise<OrStoreProblem<T>> {
  const directory = resolve(path);
  const opened = await openLmdbTables(directory, { readOnly: true });
  if (isStoreProblem(opened)) return opened;
  const { tables } = opened;
  let snapshot: TablesSnapshot | undefined;
  try {
    snapshot = tables.snapshot();
    return await action(snapshot);
  } catch (cause) {
    signal?.throwIfAborted();
    const problem = toStoreProblem(directory, cause);
    return problem.kind === "unsupported" ? damaged(directory, messageOf(cause), cause) : problem;
  } finally {
    snapshot?.release();
    await tables.close();
  }
}
