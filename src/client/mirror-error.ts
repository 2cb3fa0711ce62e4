/**
 * What went wrong in the background. `refused`: the server said no, such as to the token. `connection`: it cannot be
 * reached, or the stream broke. `silence`: nothing came for too long. `protocol`: what came cannot be right, and
 * everything is fetched again. `cache`, `bootstrap`: the file cannot be read or written. `listener`: one of yours threw.
 *
 * Of `openMirror` and `waitFor` alone, `closed`: the mirror was closed, or opening was given up; of `waitFor` alone,
 * `timeout`: the revision did not come in time, `aborted`: the wait was given up, and `epoch`: the server's data were
 * replaced.
 */
export type MirrorErrorKind =
  | "refused"
  | "connection"
  | "silence"
  | "protocol"
  | "cache"
  | "bootstrap"
  | "listener"
  | "closed"
  | "timeout"
  | "aborted"
  | "epoch";

/** An error of a mirror. It is reported by the event `error`; only `openMirror` and `waitFor` reject with it. */
export class MirrorError extends Error {
  override readonly name = "MirrorError";

  constructor(
    readonly kind: MirrorErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The text of anything that was thrown. Never throws itself, as reading or converting what was thrown may. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something without a text";
  }
}
