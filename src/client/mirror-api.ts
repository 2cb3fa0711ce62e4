import type { Context, ExplainOptions, JsonValue } from "../engine/index.js";
import type { EvaluationDetails, Explanation } from "./details.js";
import type { Unsubscribe } from "./listeners.js";
import type { MirrorError } from "./mirror-error.js";
import type { WaitOptions } from "./revision-waits.js";
import type { FlagUsage } from "./usage.js";

/**
 * `connecting`: nothing came from the server yet. `ready`: it is heard. `stale`: it was silent for too long, or could not
 * be reached at the start; evaluation goes on with the last known good. `closed`: so it does, without updates.
 */
export type MirrorStatus = "connecting" | "ready" | "stale" | "closed";

/** What a mirror tells its listeners. */
export interface MirrorEvents {
  /** Flags may answer differently now. */
  readonly change: {
    /** Of the flags concerned, deleted ones included. After a full update all of them: any flag may have changed. */
    readonly keys: readonly string[];
    readonly revision: number;
  };
  /** The mirror is in step with the server, for the first time or again after `stale`. */
  readonly ready: { readonly revision: number };
  /** The server is silent. */
  readonly stale: { readonly revision: number };
  /** Something went wrong and is being mended. */
  readonly error: MirrorError;
}

/** What a mirror has done. For metrics. */
export interface MirrorCounts {
  /** Streams and polls tried. */
  readonly attempts: number;
  /** How many of them were polls. */
  readonly polls: number;
  /** Updates applied, by kind. */
  readonly fulls: number;
  readonly deltas: number;
  readonly nones: number;
  /** Times that the position was dropped because something could not be right. */
  readonly resyncs: number;
}

/** The methods that evaluate, in OpenFeature's order. They are synchronous and never throw. */
export interface Flags {
  boolean(key: string, defaultValue: boolean, context?: Context): boolean;
  string(key: string, defaultValue: string, context?: Context): string;
  number(key: string, defaultValue: number, context?: Context): number;
  /** The value is frozen. That it has the default's shape is between you and the flag. */
  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T;
  /** An answer with its reasons. The default says which type is wanted; `undefined` takes any. */
  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T>;
  /**
   * An answer with each step that led to it; `describeTrace` makes it readable. Costs thousands of times as much as the
   * answer alone, and is not counted in `takeUsage`.
   */
  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Explanation<T>;
}

/** Flags that answer from one revision, whatever comes later. See `Mirror.pinned`. */
export interface PinnedFlags extends Flags {
  /** The server's revision that the answers are of; 0 where there was none yet. */
  readonly revision: number;
  /** The keys of all flags, sorted. */
  keys(): string[];
}

/** A copy of one environment's flags that follows the server and answers with no network. Made by `openMirror`. */
export interface Mirror extends Flags, AsyncDisposable {
  readonly environment: string;
  readonly status: MirrorStatus;
  /** The server's revision that the answers are of; 0 before there is one. */
  readonly revision: number;
  /** The checksum of the flags and segments; see UpdateCommit.digest. */
  readonly digest: string;
  readonly counts: MirrorCounts;
  /** How updates come: `poll` where streams do not get through, such as by a proxy that cuts them or holds them back. */
  readonly delivery: "stream" | "poll";
  /** The keys of all flags, sorted. */
  keys(): string[];
  /**
   * The flags as they are now, for good: for all that belongs together, such as a request, however the flags change meanwhile.
   * Makes one small object. What it answers is counted as the mirror's own. It keeps its revision in memory, so hold it as
   * long as the request lasts, and not longer. Before the first sync it answers your defaults with PROVIDER_NOT_READY, and goes
   * on doing so.
   */
  pinned(): PinnedFlags;
  /**
   * The evaluations since the last call, by flag and variant, those of before the last updates included. What is taken is
   * not reported to the server, and what was reported before is not taken: take them where `reportUsage` is off.
   */
  takeUsage(): FlagUsage[];
  /**
   * Resolves as soon as the mirror answers with a revision or a later one, such as that of a write that was just answered:
   * reading one's own writes. At once where it does already; before the first sync it waits for that.
   *
   * Rejects with a `MirrorError`: of the kind `timeout`, with `aborted` when the signal aborts, with `closed` when the
   * mirror is closed, and with `epoch` when the server's data are replaced meanwhile, such as by a restored backup, whose
   * revisions have nothing to do with those before. A revision does not tell of which data it is: one that was answered
   * after a replacement that the mirror has not heard of yet is taken for one of before. With a `TypeError` for what is no
   * revision, or no time.
   *
   * The program stays alive while it waits. Where the mirror polls, it polls every second meanwhile.
   */
  waitFor(revision: number | bigint | string, options?: WaitOptions): Promise<void>;
  /** Listens until the function returned is called. */
  on<E extends keyof MirrorEvents>(event: E, listener: (payload: MirrorEvents[E]) => void): Unsubscribe;
  /**
   * Stops following, and tells listeners nothing more, from the call on. Resolves when the last usage is reported, or after
   * 1 s has not been, everything is let go of, and the cache is written, or after 2 s has not been. Answers stay.
   */
  close(): Promise<void>;
}
