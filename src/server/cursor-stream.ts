import type { AnswerStream, Call, CursorHandler, ServerStreamHandler } from "./handlers.js";
import { isRefusal } from "./refusal.js";

/** The handler of a stream that is written as a cursor, also for transports that pull messages. */
export function serveCursor<I, O>(open: CursorHandler<I, O>): ServerStreamHandler<I, O> {
  const pull = (request: I, call: Call): AnswerStream<O> => answers(open, request, call);
  return Object.assign(pull, { open });
}

async function* answers<I, O>(open: CursorHandler<I, O>, request: I, call: Call): AnswerStream<O> {
  const { signal } = call;
  if (signal.aborted) return;
  let wake = (): void => {};
  const cursor = open(request, call, () => wake());
  if (isRefusal(cursor)) {
    yield cursor;
    return;
  }
  // A transport may stop pulling without closing the generator; then no `finally` runs, but the signal still aborts.
  const abort = (): void => {
    cursor.close();
    wake();
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!signal.aborted) {
      const answer = cursor.next();
      if (answer !== undefined) yield answer;
      else if (cursor.ended) return;
      // Nothing waits between asking and this, so no news can slip through.
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener("abort", abort);
    cursor.close();
  }
}
