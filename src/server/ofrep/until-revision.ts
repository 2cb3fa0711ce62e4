import type { Clock } from "../../base/index.js";
import type { Head } from "../state/head.js";

/** Resolves when the head has reached a revision, or after `timeoutMs`: it may have been made up. */
export function untilRevision(head: Head, revision: bigint, clock: Clock, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      stopTimer();
      unsubscribe();
      resolve();
    };
    const stopTimer = clock.after(timeoutMs, finish);
    const unsubscribe = head.announcements.subscribe(() => {
      if (head.revision >= revision || head.announcements.ended) finish();
    });
    if (head.revision >= revision) finish();
  });
}
