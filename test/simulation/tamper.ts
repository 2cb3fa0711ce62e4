import { create } from "@bufbuild/protobuf";
import { UpdateKind, type WatchItem, type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { Chance } from "./chance.js";

/** What is done to a message on its way, none of which a mirror may take for good. */
export const TAMPERINGS = [
  "update lost",
  "item lost",
  "item aged",
  "digest changed",
  "kind changed",
  "epoch changed",
  "begin lost",
  "commit lost",
  "undecodable",
] as const;
export type Tampering = (typeof TAMPERINGS)[number];

/** None that a mirror may ever take for its own. */
export const FOREIGN_EPOCH = "changed on its way";

/** What arrives instead of a message; undefined where it cannot be done to this one. Throws for what cannot be decoded. */
export function tamper(message: WatchResponse, tampering: Tampering, chance: Chance): WatchResponse[] | undefined {
  const { begin, items, commit, heartbeat, goodbye } = message;
  const change = (to: Partial<WatchResponse>): WatchResponse[] => [create(WatchResponseSchema, { ...message, ...to })];
  const index = chance.integer(0, Math.max(0, items.length - 1));
  if (heartbeat !== undefined || goodbye !== undefined) return undefined;
  switch (tampering) {
    case "update lost":
      // The first one must come: without it nothing else means anything.
      return begin?.kind === UpdateKind.DELTA && commit !== undefined && items.length > 0 ? [] : undefined;
    case "item lost":
      return items.length === 0 ? undefined : change({ items: items.filter((_, at) => at !== index) });
    case "item aged": {
      const aged = items.map((item, at) => (at === index ? withOtherRevision(item) : item));
      return aged.some((item) => item === undefined) || items.length === 0
        ? undefined
        : change({ items: aged as WatchItem[] });
    }
    case "digest changed":
      return commit && change({ commit: { ...commit, digest: "0123456789abcdef" } });
    case "kind changed":
      return begin?.kind === UpdateKind.FULL
        ? undefined
        : begin && change({ begin: { ...begin, kind: UpdateKind.FULL } });
    case "epoch changed": {
      // Of a full update nobody could tell.
      const position = begin?.kind === UpdateKind.FULL ? undefined : begin && commit?.position;
      return position && commit && change({ commit: { ...commit, position: { ...position, epoch: FOREIGN_EPOCH } } });
    }
    case "begin lost":
      return begin && items.length > 0 ? [without(message, "begin")] : undefined;
    case "commit lost":
      return commit && items.length > 0 ? [without(message, "commit")] : undefined;
    case "undecodable":
      throw new RangeError("the message cannot be decoded");
  }
}

function without(message: WatchResponse, field: "begin" | "commit"): WatchResponse {
  const changed = create(WatchResponseSchema, message);
  const copy = { ...changed };
  delete copy[field];
  return create(WatchResponseSchema, copy);
}

function withOtherRevision(item: WatchItem): WatchItem | undefined {
  const { kind } = item;
  if (kind.case === "segment")
    return { ...item, kind: { case: "segment", value: { ...kind.value, revision: 99_999n } } };
  if (kind.case !== "flag" || kind.value.flag === undefined) return undefined;
  const flag = { ...kind.value.flag, revision: 99_999n };
  return { ...item, kind: { case: "flag", value: { ...kind.value, flag } } };
}
