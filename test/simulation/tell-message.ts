import type { MessageRecord, PositionRecord } from "../history-checker/index.js";

/** A message in short, for a story. */
export function tellMessage({ begin, items, commit, heartbeat, goodbye }: MessageRecord): string {
  if (goodbye !== undefined) return `goodbye ${goodbye}`;
  if (heartbeat !== undefined) return `heartbeat at ${tellPosition(heartbeat.position)}`;
  const ids = items.map(({ kind, id }) => (kind === "deleted" ? `-${id}` : kind === "keys" ? `+${id}` : id));
  return `${begin ?? "…"} [${ids.join(", ")}] ${commit ? `at ${tellPosition(commit.position)}` : "…"}`;
}

export function tellPosition(position: PositionRecord | undefined): string {
  return position === undefined ? "the beginning" : `${position.revision} of ${position.epoch}`;
}
