/**
 * What must hold. The first eight are etcd's words for a watch.
 *
 * - `ordered`, `unique`: revisions of a stream go up, and nothing is sent twice.
 * - `reliable`: what a client holds after an update, or shows, is what the log had at that revision; nothing is skipped.
 * - `atomic`: updates are whole.
 * - `resumable`: a delta leads from exactly the position that was asked for.
 * - `bookmarkable`: a heartbeat at a revision promises that all up to it came.
 * - `filter-correct`: nothing of another environment.
 * - `converged`: in the end everybody has the log's last state, and its digest.
 * - `digest`: the digest of an update is that of its state.
 * - `resynced`: a position of another epoch, or in the future, is answered by everything.
 * - `monotonic`: what a mirror shows, or a server answers, never goes back within an epoch.
 * - `log`: each transaction is one revision, the next, and never another's.
 * - `durable`: nothing is seen that the log does not have, or before it was durable.
 * - `acknowledged`: an acknowledged write is in the log, where it was said to be, after those acknowledged before it.
 * - `refused`: a refused write is not in the log.
 * - `once`: a write is in the log once at most, however often it was tried.
 * - `compared`: a write with an expected revision overwrote nothing newer.
 * - `fresh`: whoever asks sees what was acknowledged there before.
 * - `answered`: an answer is that of the state at its revision.
 * - `prompt`: the first message and heartbeats come in time.
 * - `ended`: a stream ends with a goodbye and UNAVAILABLE, and says nothing after it.
 */
export type Property =
  | "ordered"
  | "unique"
  | "reliable"
  | "atomic"
  | "resumable"
  | "bookmarkable"
  | "filter-correct"
  | "converged"
  | "digest"
  | "resynced"
  | "monotonic"
  | "log"
  | "durable"
  | "acknowledged"
  | "refused"
  | "once"
  | "compared"
  | "fresh"
  | "answered"
  | "prompt"
  | "ended";

/** Something that must not be. */
export interface Violation {
  readonly property: Property;
  /** Who saw it: a client, a writer, or the log. */
  readonly who: string;
  readonly message: string;
  readonly at?: number | undefined;
}

/** Collects violations of one witness. */
export class Findings {
  constructor(
    readonly list: Violation[],
    readonly who: string,
  ) {}

  add(property: Property, message: string, at?: number): void {
    this.list.push({ property, who: this.who, message, at });
  }
}

export function tellViolation({ property, who, message, at }: Violation): string {
  return `${property}: ${who}${at === undefined ? "" : ` at ${at} ms`}: ${message}`;
}
