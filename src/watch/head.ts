import { create } from "@bufbuild/protobuf";
import { type Position, UpdateCommitSchema, UpdateKind } from "../../gen/flagwire/v1/watch_pb.js";
import type { Tally } from "./counts.js";
import { Frame } from "./frame.js";
import type { EncodedItem } from "./item.js";
import { updateFrames } from "./update-frames.js";

/**
 * The newest revision of an environment with the frames that lead to it, each made once, when first needed, and shared.
 * A new revision makes a new head; streams in the middle of an update finish it with the frames that they have.
 */
export class Head {
  readonly #commit;
  readonly #deltas = new Map<bigint, readonly Frame[]>();
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
    let frames = this.#deltas.get(fromRevision);
    if (frames === undefined) {
      frames = this.#update(UpdateKind.DELTA, items());
      this.#deltas.set(fromRevision, frames);
    }
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

  #update(kind: UpdateKind, items: readonly EncodedItem[]): readonly Frame[] {
    return updateFrames(kind, items, this.#commit, this.maxMessageBytes, this.tally);
  }
}
