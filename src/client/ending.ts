import { MirrorError, messageOf } from "./mirror-error.js";
import { isRefused, isUnreachable, leavesPositionIntact } from "./transport.js";

/** What to do with a stream after a message. */
export type Verdict =
  | { readonly kind: "go-on" }
  /** An update has been applied: go on, or end a poll. */
  | { readonly kind: "in-step" }
  | { readonly kind: "goodbye"; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: "violation"; readonly message: string };

/** How a stream or a poll ended. */
export type Ending =
  | Exclude<Verdict, { kind: "go-on" | "in-step" }>
  | { readonly kind: "closed-by-server" }
  | { readonly kind: "silence"; readonly afterMs: number }
  | { readonly kind: "failed"; readonly error: unknown };

/** Whether the position may be gone on from after it. */
export function keepsPosition(ending: Ending): boolean {
  return ending.kind === "failed" ? leavesPositionIntact(ending.error) : ending.kind !== "violation";
}

/** Whether nobody could be connected to. */
export function foundNobody(ending: Ending): boolean {
  return ending.kind === "failed" && isUnreachable(ending.error);
}

/**
 * Whether streams may be what does not get through. Not where the server itself has ended the stream. A refusal and what
 * cannot be right would meet a poll too, unless polls are known to work.
 */
export function speaksAgainstStreams(ending: Ending, pollsWork: boolean): boolean {
  switch (ending.kind) {
    case "goodbye":
      return false;
    case "violation":
      return pollsWork;
    case "failed":
      return pollsWork || !isRefused(ending.error);
    case "closed-by-server":
    case "silence":
      return true;
  }
}

/** What to tell people of an ending; undefined for one that is nothing wrong. */
export function toMirrorError(ending: Ending, address: string): MirrorError | undefined {
  switch (ending.kind) {
    case "goodbye":
    case "closed-by-server":
      return undefined;
    case "silence":
      return new MirrorError("silence", `nothing came from ${address} for ${ending.afterMs / 1000} s`);
    case "violation":
      return new MirrorError("protocol", `what came from ${address} cannot be right: ${ending.message}`);
    case "failed": {
      const { error } = ending;
      const kind = isRefused(error) ? "refused" : "connection";
      const what = kind === "refused" ? "refused to be watched" : "cannot be watched";
      return new MirrorError(kind, `${address} ${what}: ${messageOf(error)}`, { cause: error });
    }
  }
}
