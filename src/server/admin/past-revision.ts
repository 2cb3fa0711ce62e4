import { type OrRefusal, Refusal } from "../refusal.js";
import type { Head } from "../state/head.js";

/** Why there is no such transaction; undefined if there is one, kept or not. */
export function refuseUnknownRevision(
  revision: bigint,
  head: Pick<Head, "revision">,
  field: string,
): Refusal | undefined {
  if (revision <= head.revision) return undefined;
  return revisionNotFound(revision, field, `there is no revision ${revision} yet: the newest is ${head.revision}`);
}

export function revisionNotFound(revision: bigint, field: string, message: string): Refusal {
  return new Refusal("NOT_FOUND", "REVISION_NOT_FOUND", message, {
    violations: [{ field, description: "does not exist" }],
    metadata: { revision: String(revision) },
  });
}

/** `what` is what was asked for, such as `revision 12`. `oldest`: the oldest entry that is kept. */
export function historyCompacted(what: string, oldest: bigint, field: string): Refusal {
  const message = `history was compacted and no longer reaches ${what}: it begins at revision ${oldest}`;
  return new Refusal("FAILED_PRECONDITION", "HISTORY_COMPACTED", message, {
    violations: [{ field, description: "is no longer kept" }],
    metadata: { oldest_revision: String(oldest) },
  });
}

/** The state after a revision can be told where every later transaction is kept. */
export function refuseUnreachable(revision: bigint, head: Head, field: string): OrRefusal<undefined> {
  const unknown = refuseUnknownRevision(revision, head, field);
  if (unknown !== undefined) return unknown;
  const { oldest } = head.store.edges();
  return revision + 1n < oldest ? historyCompacted(`the state at revision ${revision}`, oldest, field) : undefined;
}
