import { fromBinary } from "@bufbuild/protobuf";
import { UpdateKind, type WatchItem, type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { Frame, WatchHub, WatchTarget } from "../../src/watch/index.js";
import { settle } from "./virtual-clock.js";

/** Reads a hub's stream as fast as it comes, each message through its binary form. */
export class StreamTap {
  readonly frames: Frame[] = [];
  readonly #abort = new AbortController();
  ended = false;

  constructor(hub: WatchHub, target: Partial<WatchTarget> = {}) {
    void this.#read(hub.watch({ environment: "production", ...target }, this.#abort.signal));
  }

  get messages(): WatchResponse[] {
    return this.frames.map((frame) => fromBinary(WatchResponseSchema, frame.bytes));
  }

  /** The messages in short, such as `full[a,b]@3`, `heartbeat@4`, `delta[-a]@5`, `goodbye`. */
  get story(): string[] {
    return this.messages.map(tell);
  }

  /** The story from now on. */
  async next(action: () => void | Promise<void>): Promise<string[]> {
    await settle();
    const before = this.frames.length;
    await action();
    await settle();
    return this.story.slice(before);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await settle();
  }

  async #read(stream: AsyncGenerator<Frame>): Promise<void> {
    for await (const frame of stream) this.frames.push(frame);
    this.ended = true;
  }
}

/** A message in short. */
export function tell({ begin, items, commit, heartbeat, goodbye }: WatchResponse): string {
  if (goodbye !== undefined) return "goodbye";
  if (heartbeat !== undefined) return `heartbeat@${heartbeat.position?.revision}`;
  const kind = begin === undefined ? "…" : UpdateKind[begin.kind].toLowerCase();
  const end = commit === undefined ? "…" : `@${commit.position?.revision}`;
  return `${kind}[${items.map(tellItem).join(",")}]${end}`;
}

function tellItem({ kind }: WatchItem): string {
  switch (kind.case) {
    case "flag":
      return kind.value.flag?.key ?? "?";
    case "segment":
      return `segment:${kind.value.key}`;
    case "segmentKeys":
      return `+segment:${kind.value.segmentKey}`;
    case "deletedFlagKey":
      return `-${kind.value}`;
    case "deletedSegmentKey":
      return `-segment:${kind.value}`;
    default:
      return "?";
  }
}
