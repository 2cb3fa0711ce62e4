import type { Frame } from "./frame.js";
import type { WatchCursor } from "./watch-cursor.js";

/** See WatchHub.watch. */
export async function* watchFrames(
  open: (onNews: () => void) => WatchCursor,
  signal: AbortSignal,
): AsyncGenerator<Frame, void, undefined> {
  if (signal.aborted) return;
  let wake = (): void => {};
  const cursor = open(() => wake());
  // A transport may stop pulling without closing the generator; then no `finally` runs, but the signal still aborts.
  const abort = (): void => {
    cursor.close();
    wake();
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!cursor.ended) {
      const frame = cursor.next();
      if (frame !== undefined) yield frame;
      // Nothing waits between asking and this, so no news can slip through.
      else if (!cursor.ended) await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener("abort", abort);
    cursor.close();
  }
}
