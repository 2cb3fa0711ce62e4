import type { Position } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";
import type { Update } from "./update-reader.js";
import { type FlagUsage, UsageCounter } from "./usage.js";

/** What became of an update. */
export type Applied =
  | {
      readonly kind: "applied";
      /** Whether any flag may answer differently than before. */
      readonly changedKeys: readonly string[];
    }
  | { readonly kind: "refused"; readonly message: string };

const UNCHANGED: Applied = { kind: "applied", changedKeys: [] };

/** What flags are answered from. */
export interface SnapshotSource {
  /** The last known good. Empty before there is any. */
  readonly snapshot: Snapshot;
  /** Whether the snapshot is one: from the server, or kept from before. */
  readonly hasData: boolean;
}

/**
 * A mirror's snapshot and the position to go on from. The snapshot is replaced whole, by a verified update only, and its
 * revision never goes down within an epoch.
 */
export class Follower implements SnapshotSource {
  #snapshot: Snapshot;
  #resumeFrom: Position | undefined;
  #hasData = false;
  readonly #usage = new UsageCounter();

  constructor(environment: string) {
    this.#snapshot = emptySnapshot(environment);
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get hasData(): boolean {
    return this.#hasData;
  }

  /** The source as it is now, for good. What is asked of it later is counted all the same. */
  pinned(): SnapshotSource {
    this.#usage.expectPins();
    return { snapshot: this.#snapshot, hasData: this.#hasData };
  }

  /** Where the next stream should go on from; undefined for all from the beginning. */
  get resumeFrom(): Position | undefined {
    return this.#resumeFrom;
  }

  /** Starts with a snapshot from elsewhere; `resume` if its position is the server's. */
  adopt(snapshot: Snapshot, resume: boolean): void {
    this.#usage.retire(this.#snapshot, snapshot);
    this.#snapshot = snapshot;
    this.#resumeFrom = resume ? snapshot.position : undefined;
    this.#hasData = true;
  }

  /** What was asked of this snapshot and those before it, since the last time. */
  takeUsage(maxCount?: number): FlagUsage[] {
    return this.#usage.take(this.#snapshot, maxCount);
  }

  /** Makes the next stream start from the beginning. What is known stays in use. */
  dropPosition(): void {
    this.#resumeFrom = undefined;
  }

  apply(update: Update): Applied {
    const before = this.#snapshot;
    const objection = this.#objection(update);
    if (objection !== undefined) return { kind: "refused", message: objection };
    const after =
      update.kind === "none"
        ? before.apply("delta", [], update.position)
        : before.apply(update.kind, update.items, update.position);
    if (after.digest !== update.digest) {
      return { kind: "refused", message: `the digest is ${after.digest} and should be ${update.digest}` };
    }
    this.adopt(after, true);
    return isRepetition(update, before, after)
      ? UNCHANGED
      : { kind: "applied", changedKeys: [...after.changedKeys].sort() };
  }

  /** Moves to a position that brought nothing. An empty digest says nothing. Returns an objection, if there is one. */
  bookmark(position: Position, digest: string): string | undefined {
    const known = this.#resumeFrom;
    if (known === undefined) return "a heartbeat came where there is nothing to go on from";
    if (position.epoch !== known.epoch) return "a heartbeat came from another epoch";
    if (position.revision < known.revision) return wentDown(known, position);
    const { digest: held } = this.#snapshot;
    if (digest !== "" && digest !== held) return `something is missing: the digest is ${held} and should be ${digest}`;
    if (position.revision > known.revision) this.adopt(this.#snapshot.apply("delta", [], position), true);
    return undefined;
  }

  #objection({ kind, position }: Update): string | undefined {
    const known = this.#snapshot.position;
    if (position.epoch === known.epoch && position.revision < known.revision) return wentDown(known, position);
    if (kind === "full") return undefined;
    const base = this.#resumeFrom;
    if (base === undefined) return `a ${kind} update came where everything was asked for`;
    if (position.epoch !== base.epoch) return `a ${kind} update came from another epoch`;
    if (kind === "none" && position.revision !== base.revision) return "an update without changes moved the revision";
    return undefined;
  }
}

function wentDown(from: Position, to: Position): string {
  return `the revision went down from ${from.revision} to ${to.revision}`;
}

/** A full update compiles everything anew, even where it is what was there. */
function isRepetition({ kind }: Update, before: Snapshot, after: Snapshot): boolean {
  return kind === "full" && before.position.epoch === after.position.epoch && before.digest === after.digest;
}
