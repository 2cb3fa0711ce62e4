import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  GoodbyeReason,
  type Position,
  type UpdateCommit,
  UpdateKind,
  type WatchItem,
  type WatchResponse,
} from "../../gen/flagwire/v1/watch_pb.js";

/** A whole update. */
export interface Update {
  readonly kind: "full" | "delta" | "none";
  readonly items: readonly WatchItem[];
  readonly position: Position;
  readonly digest: string;
}

/** What a message means after those before it. */
export type Reading =
  | { readonly kind: "update"; readonly update: Update }
  /** A part of an update that is not complete, or something of a newer server that may be ignored. */
  | { readonly kind: "part" }
  /** The digest is empty where the server does not send it. */
  | { readonly kind: "heartbeat"; readonly position: Position; readonly digest: string }
  | { readonly kind: "goodbye"; readonly reason: string; readonly retryAfterMs: number }
  /** Against the protocol; see WatchResponse. */
  | { readonly kind: "violation"; readonly message: string };

interface OpenUpdate {
  readonly kind: Update["kind"];
  readonly items: WatchItem[];
  /** The segment that keys may be added to: the last item's. */
  segmentKey: string | undefined;
}

const PART: Reading = { kind: "part" };

/** Reads the messages of one stream: puts updates together, and lets nothing through that is out of order. */
export class UpdateReader {
  #open: OpenUpdate | undefined;
  #begun = false;

  read(message: WatchResponse): Reading {
    const { begin, items, commit, heartbeat, goodbye } = message;
    if (goodbye !== undefined) {
      const reason = GoodbyeReason[goodbye.reason] ?? "UNSPECIFIED";
      return { kind: "goodbye", reason, retryAfterMs: toMilliseconds(goodbye.retryAfter) };
    }
    if (begin !== undefined) {
      const violation = this.#begin(begin.kind);
      if (violation !== undefined) return violation;
    }
    if (this.#open === undefined) return this.#readOutside(message);
    if (heartbeat !== undefined) return violation("a heartbeat came within an update");
    for (const item of items) {
      const objection = this.#add(this.#open, item);
      if (objection !== undefined) return violation(objection);
    }
    return commit === undefined ? PART : this.#commit(this.#open, commit);
  }

  #begin(kind: UpdateKind): Reading | undefined {
    if (this.#open !== undefined) return violation("an update began within another");
    const name = UPDATE_KINDS[kind];
    if (name === undefined) return violation(`an update of the unknown kind ${kind} began`);
    this.#open = { kind: name, items: [], segmentKey: undefined };
    this.#begun = true;
    return undefined;
  }

  /** Returns an objection, if there is one. Keys that were lost on the way show in the digest; where they belong shows here. */
  #add(open: OpenUpdate, item: WatchItem): string | undefined {
    const { kind } = item;
    if (kind.case === "segmentKeys" && kind.value.segmentKey !== open.segmentKey) {
      return `keys came for the segment ${JSON.stringify(kind.value.segmentKey)}, which was not before them`;
    }
    if (kind.case !== "segmentKeys") open.segmentKey = kind.case === "segment" ? kind.value.key : undefined;
    open.items.push(item);
    return undefined;
  }

  #commit(open: OpenUpdate, { position, digest }: UpdateCommit): Reading {
    this.#open = undefined;
    if (position === undefined) return violation("an update ended without a position");
    if (open.kind === "none" && open.items.length > 0) return violation("an update without changes had items");
    const { kind, items } = open;
    return { kind: "update", update: { kind, items, position, digest } };
  }

  #readOutside({ items, commit, heartbeat }: WatchResponse): Reading {
    if (items.length > 0 || commit !== undefined) return violation("items or a commit came without a begin");
    if (heartbeat === undefined) return PART;
    if (!this.#begun) return violation("a heartbeat came before the first update");
    if (heartbeat.position === undefined) return violation("a heartbeat came without a position");
    return { kind: "heartbeat", position: heartbeat.position, digest: heartbeat.digest };
  }
}

const UPDATE_KINDS: { readonly [kind in UpdateKind]?: Update["kind"] } = {
  [UpdateKind.FULL]: "full",
  [UpdateKind.DELTA]: "delta",
  [UpdateKind.NONE]: "none",
};

function violation(message: string): Reading {
  return { kind: "violation", message };
}

function toMilliseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
