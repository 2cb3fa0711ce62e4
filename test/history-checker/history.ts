/**
 * What a run left behind: what each of its clients saw, as plain JSON, so that it can come from any process. All times are
 * milliseconds of one clock that does not go back; `at` of the same millisecond are taken as concurrent.
 */
export interface History {
  readonly writes: readonly WriteRecord[];
  readonly streams: readonly StreamRecord[];
  readonly mirrors: readonly MirrorRecord[];
  readonly evaluations: readonly EvaluationRecord[];
  /** What everybody who is `live` must have come to when writes had stopped for long enough. Absent: not looked at. */
  readonly final?: PositionRecord | undefined;
}

export interface PositionRecord {
  readonly epoch: string;
  readonly revision: number;
}

/** One write, with all its attempts. */
export interface WriteRecord {
  /** In the transaction's comment, alone, and in no other's. It tells which write made a revision. */
  readonly id: string;
  /** Whether all attempts carried the same idempotency key. */
  readonly idempotent: boolean;
  readonly expectedRevision?: number | undefined;
  /** Where there may be nothing to change, so that an acknowledgement carries a revision that is not its own. */
  readonly mayChangeNothing?: boolean | undefined;
  readonly attempts: readonly WriteAttempt[];
}

export interface WriteAttempt {
  readonly calledAt: number;
  /** Absent: it never came back. */
  readonly endedAt?: number | undefined;
  /** The process, and its incarnation, that was asked. */
  readonly through?: string | undefined;
  readonly outcome: WriteOutcome;
}

export type WriteOutcome =
  | { readonly kind: "acknowledged"; readonly epoch: string; readonly revision: number }
  /** The answer promises that nothing was written. */
  | { readonly kind: "refused"; readonly reason: string }
  /** No answer, or one that promises nothing. */
  | { readonly kind: "unknown"; readonly reason: string };

/** One stream, as its client saw it, or as its server sent it where the way between changes messages. */
export interface StreamRecord {
  readonly client: string;
  readonly environment: string;
  /** The position in the request. */
  readonly asked?: PositionRecord | undefined;
  readonly once?: boolean | undefined;
  readonly openedAt: number;
  /** The newest revision that the server asked was known to have shown before the stream was opened. */
  readonly shownBefore?: PositionRecord | undefined;
  /** The client read as fast as it could and nothing held its messages up: their times mean something. */
  readonly unhindered?: boolean | undefined;
  readonly messages: readonly MessageRecord[];
  /** Absent: still open when the run ended. */
  readonly end?: StreamEnd | undefined;
  /** It must have come to `History.final`. */
  readonly live?: boolean | undefined;
}

/** `ok`, `unavailable`: the server's status. `failed`: another status. `broken`: the connection, or the client itself, ended it. */
export interface StreamEnd {
  readonly at: number;
  readonly how: "ok" | "unavailable" | "failed" | "broken";
}

export interface MessageRecord {
  readonly at: number;
  readonly begin?: "full" | "delta" | "none" | "unknown" | undefined;
  readonly items: readonly ItemRecord[];
  readonly commit?: { readonly position?: PositionRecord | undefined; readonly digest: string } | undefined;
  readonly heartbeat?: { readonly position?: PositionRecord | undefined; readonly digest?: string } | undefined;
  readonly goodbye?: string | undefined;
}

/** A flag, a segment, more keys of the segment before it, or the end of one; named `flag/KEY` or `segment/KEY`. */
export type ItemRecord =
  | { readonly kind: "flag"; readonly id: string; readonly environment: string | undefined; readonly version: string }
  | {
      readonly kind: "segment";
      readonly id: string;
      readonly environment: string;
      /** Of all but the keys. */
      readonly version: string;
      readonly included: readonly string[];
      readonly excluded: readonly string[];
      /** `included_count` and `excluded_count` together; 0 where they were not set. */
      readonly keyCount: number;
    }
  | {
      readonly kind: "keys";
      readonly id: string;
      readonly environment: string;
      readonly included: readonly string[];
      readonly excluded: readonly string[];
    }
  | { readonly kind: "deleted"; readonly id: string }
  | { readonly kind: "unknown"; readonly id: string };

/** One mirror from its opening to its end, with what it showed from time to time; often, to be of use. */
export interface MirrorRecord {
  readonly client: string;
  readonly environment: string;
  readonly sightings: readonly MirrorSighting[];
  /** It must have come to `History.final`. */
  readonly live?: boolean | undefined;
}

export interface MirrorSighting {
  readonly at: number;
  /** Where it is known; else any epoch that fits. */
  readonly epoch?: string | undefined;
  /** 0: it has nothing yet. */
  readonly revision: number;
  readonly digest: string;
  /** The keys of all flags, sorted. */
  readonly keys?: readonly string[] | undefined;
  readonly answers?: readonly AnswerRecord[] | undefined;
}

/** An answer by the server. */
export interface EvaluationRecord {
  readonly client: string;
  readonly environment: string;
  readonly calledAt: number;
  readonly endedAt: number;
  /** The process, and its incarnation, that was asked. */
  readonly through?: string | undefined;
  /** Where it is known; else any epoch that fits. */
  readonly epoch?: string | undefined;
  readonly revision: number;
  readonly answers: readonly AnswerRecord[];
}

/** The answer to one flag, for a context that has a targeting key only. */
export interface AnswerRecord {
  readonly flagKey: string;
  readonly targetingKey: string;
  /** Absent: none, the caller's default counts. */
  readonly variant?: string | undefined;
  /** The error's code where it is ERROR. */
  readonly reason: string;
}
