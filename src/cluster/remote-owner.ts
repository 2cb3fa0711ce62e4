import { type HistoryEdges, type StoreFailure, type StoreOwner, StoreUnavailable } from "../store/index.js";
import { type Link, LinkBroken } from "./link.js";
import type { SupervisorSpeech, WorkerSpeech } from "./messages.js";

/** The owner of the data directory, at the other end of a link. */
export interface RemoteOwner extends StoreOwner {
  /** The newest revision that it has told of. */
  readonly told: bigint;
  /** Passes on what the owner tells; false for notices about something else. */
  hear(notice: SupervisorSpeech["notice"]): boolean;
}

export function createRemoteOwner(link: () => Link<WorkerSpeech, SupervisorSpeech>): RemoteOwner {
  const listeners = new Set<(edges: HistoryEdges) => void>();
  let told: HistoryEdges | undefined;
  let resolveFailed: (failure: StoreFailure) => void = () => undefined;
  const failed = new Promise<StoreFailure>((resolve) => {
    resolveFailed = resolve;
  });
  return {
    failed,
    get told() {
      return told?.newest ?? 0n;
    },
    async commit(transaction) {
      try {
        return await link().ask({ kind: "commit", transaction });
      } catch (error) {
        if (!(error instanceof LinkBroken)) throw error;
        return { kind: "unavailable", uncertain: error.isUncertain, message: error.message };
      }
    },
    async seenByAll(revision) {
      try {
        await link().ask({ kind: "seen-by-all", revision });
      } catch (error) {
        throw error instanceof LinkBroken ? new StoreUnavailable(error.message, { cause: error }) : error;
      }
    },
    follow(listener) {
      listeners.add(listener);
      if (told !== undefined) listener(told);
      return () => listeners.delete(listener);
    },
    hear(notice) {
      if (notice.kind === "durable") {
        told = notice.edges;
        for (const listener of listeners) listener(notice.edges);
        return true;
      }
      if (notice.kind === "store-failed") resolveFailed({ message: notice.message, cause: undefined });
      return notice.kind === "store-failed";
    },
  };
}
