import { type Position, UpdateKind, type WatchItem, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";

/** An update of the stream, whole, or a heartbeat. Its JSON form is what `watch --json` prints. */
export interface WatchEvent {
  readonly kind: "full" | "delta" | "none" | "heartbeat";
  readonly epoch: string;
  readonly revision: string;
  readonly flags: readonly string[];
  readonly segments: readonly string[];
  readonly deletedFlags: readonly string[];
  readonly deletedSegments: readonly string[];
  readonly digest?: string;
}

/** Puts the messages of a stream together: an update may come in several. */
export class WatchEventReader {
  #kind: "full" | "delta" | "none" | undefined;
  #items: WatchItem[] = [];
  #position: Position | undefined;

  /** Where to go on from: after the last event. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Forgets an update that was cut off. */
  restart(): void {
    this.#kind = undefined;
    this.#items = [];
  }

  /** The event that the message completes, if it does. */
  read(message: WatchResponse): WatchEvent | undefined {
    if (message.begin !== undefined) {
      this.#kind = kindNames[message.begin.kind] ?? "delta";
      this.#items = [];
    }
    for (const item of message.items) this.#items.push(item);
    const position = message.commit?.position ?? message.heartbeat?.position;
    if (position === undefined) return undefined;
    this.#position = position;
    if (message.commit === undefined) return toEvent("heartbeat", position, [], undefined);
    const event = toEvent(this.#kind ?? "delta", position, this.#items, message.commit.digest);
    this.restart();
    return event;
  }
}

const kindNames: Partial<Record<UpdateKind, "full" | "delta" | "none">> = {
  [UpdateKind.FULL]: "full",
  [UpdateKind.DELTA]: "delta",
  [UpdateKind.NONE]: "none",
};

function toEvent(
  kind: WatchEvent["kind"],
  position: Position,
  items: readonly WatchItem[],
  digest: string | undefined,
): WatchEvent {
  const flags: string[] = [];
  const segments: string[] = [];
  const deletedFlags: string[] = [];
  const deletedSegments: string[] = [];
  for (const { kind: item } of items) {
    if (item.case === "flag") flags.push(item.value.flag?.key ?? "");
    else if (item.case === "segment") segments.push(item.value.key);
    else if (item.case === "deletedFlagKey") deletedFlags.push(item.value);
    else if (item.case === "deletedSegmentKey") deletedSegments.push(item.value);
  }
  const event = {
    kind,
    epoch: position.epoch,
    revision: String(position.revision),
    flags,
    segments,
    deletedFlags,
    deletedSegments,
  };
  return digest === undefined ? event : { ...event, digest };
}
