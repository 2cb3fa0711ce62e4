import type { Clock } from "../../base/index.js";
import type { Head } from "./head.js";

/** How long what another process has made may take to be heard of here. */
const MAX_LAG_MS = 1_000;

/**
 * Waits for a revision that a caller names and that the head has not reached. Where another process owns the store it may
 * have been made a moment ago: a write is answered when all show it, but streams tell of it as soon as one does.
 */
export async function awaitNamedRevision(head: Head, clock: Pick<Clock, "after">, revision: bigint): Promise<void> {
  if (revision <= head.revision || head.store.side !== undefined) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      stopTimer();
      unsubscribe();
      resolve();
    };
    const stopTimer = clock.after(MAX_LAG_MS, end);
    const unsubscribe = head.announcements.subscribe(() => {
      if (head.revision >= revision) end();
    });
  });
}
