import { create } from "@bufbuild/protobuf";
import { type Position, UpdateCommitSchema, UpdateKind } from "../../gen/flagwire/v1/watch_pb.js";
import type { Tally } from "./counts.js";
import { Frame } from "./frame.js";
import type { EncodedItem } from "./item.js";
import { updateFrames } from "./update-frames.js";

/** From so many revisions. Watchers come from the same few, but anybody may ask from any, and each delta may hold everything. */
const MAX_DELTAS = 16;

/**
 * The newest revision of an environment with the frames that lead to it, each made once, when first needed, and shared.
 * A new revision makes a new head; streams in the middle of an update finish it with the frames that they have.
 */
export class Head {
  readonly #commit;
  readonly #deltas = new Map<bigint, readonly Frame[]>();
  /** The key of the delta that was used last. */
  #newestFrom: bigint | undefined;
  #full: readonly Frame[] | undefined;
  #none: readonly Frame[] | undefined;
  #heartbeat: readonly Frame[] | undefined;

  constructor(
    readonly position: Position,
    readonly digest: string,
    readonly maxMessageBytes: number,
    readonly tally: Tally,
  ) {
    this.#commit = create(UpdateCommitSchema, { position, digest });
  }

  full(items: () => readonly EncodedItem[]): readonly Frame[] {
    this.#full ??= this.#update(UpdateKind.FULL, items());
    return this.#full;
  }

  /** The update from an earlier revision; `items` is called if nobody has come from there yet. */
  delta(fromRevision: bigint, items: () => readonly EncodedItem[]): readonly Frame[] {
    const kept = this.#deltas.get(fromRevision);
    // In a fan-out nearly all come from the same one.
    if (kept !== undefined && fromRevision === this.#newestFrom) return kept;
    const frames = kept ?? this.#update(UpdateKind.DELTA, items());
    // The one that was used last is let go of last.
    this.#deltas.delete(fromRevision);
    this.#deltas.set(fromRevision, frames);
    this.#newestFrom = fromRevision;
    if (this.#deltas.size > MAX_DELTAS) this.#dropOldestDelta();
    return frames;
  }

  none(): readonly Frame[] {
    this.#none ??= this.#update(UpdateKind.NONE, []);
    return this.#none;
  }

  heartbeat(): readonly Frame[] {
    const { position, digest } = this;
    this.#heartbeat ??= [new Frame({ kind: "heartbeat", position, digest }, this.tally)];
    return this.#heartbeat;
  }

  /** Called when there is a newer head. */
  release(): void {
    for (const frame of this.#full ?? []) frame.release();
    for (const frames of this.#deltas.values()) for (const frame of frames) frame.release();
  }

  #dropOldestDelta(): void {
    for (const [revision, frames] of this.#deltas) {
      this.#deltas.delete(revision);
      for (const frame of frames) frame.release();
      return;
    }
  }

  #update(kind: UpdateKind, items: readonly EncodedItem[]): readonly Frame[] {
    return updateFrames(kind, items, this.#commit, this.maxMessageBytes, this.tally);
  }
}
