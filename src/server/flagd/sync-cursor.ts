import type { SyncFlagsResponse } from "../../../gen/flagd/sync/v1/sync_pb.js";
import type { AnswerCursor } from "../handlers.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import type { HeadCursor } from "../state/head-cursor.js";
import type { SyncEnvironment, SyncState } from "./sync-environment.js";
import type { SyncPayload } from "./sync-payload.js";

/** How every stream ends: some clients take OK for the end of nothing, and stay with what they have. */
export const syncEnded = new Refusal(
  "UNAVAILABLE",
  "STREAM_ENDED",
  "the server is shutting down or the environment was deleted; connect again",
);

export function syncTooLarge(sizeBytes: number): Refusal {
  return new Refusal(
    "RESOURCE_EXHAUSTED",
    "PAYLOAD_TOO_LARGE",
    `the flags in flagd's terms have ${sizeBytes} bytes, more than can be synced at once; resolve them by RPC`,
  );
}

/** The payloads of one stream. */
export class SyncCursor implements AnswerCursor<SyncFlagsResponse> {
  readonly #cursor: HeadCursor<SyncState>;
  #environment: SyncEnvironment | undefined;

  /** Unfollows the environment, which is followed for it, when it is closed. */
  constructor(cursor: HeadCursor<SyncState>, environment: SyncEnvironment) {
    this.#cursor = cursor;
    this.#environment = environment;
  }

  get ended(): boolean {
    return false;
  }

  next(): OrRefusal<SyncPayload> | undefined {
    for (let news = this.#cursor.next(); news !== undefined; news = this.#cursor.next()) {
      switch (news.kind) {
        case "moved":
          if (news.now.kind === "ready") return news.now;
          if (news.now.kind === "too-large") return syncTooLarge(news.now.sizeBytes);
          break;
        case "silence":
          break;
        case "gone":
        case "closing":
          return syncEnded;
      }
    }
    return undefined;
  }

  close(): void {
    this.#cursor.close();
    this.#environment?.unfollow();
    this.#environment = undefined;
  }
}
