import type { ServerResponse } from "node:http";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Clock } from "../../base/index.js";

/** Waits that a slow client may cause. */
export interface WriteBounds {
  readonly clock: Clock;
  /** In milliseconds; then `onStalled` is called. */
  readonly stallTimeoutMs: number;
  /** Destroys the connection. */
  readonly onStalled: () => void;
}

/**
 * Writes a response of Connect's to a client, as fast as it reads. Resolves when it was written or the client is gone.
 *
 * Not connect-node's own writer: on Node 20 that one waits forever for a `drain` if the client leaves meanwhile, and
 * then the handler is never told.
 */
export async function writeResponse(
  from: UniversalServerResponse,
  to: ServerResponse,
  bounds: WriteBounds,
): Promise<void> {
  const body = from.body?.[Symbol.asyncIterator]();
  // Frees what Connect holds for the call. Not awaited: a generator that is busy returns only when its handler has
  // noticed the end of the call.
  to.once("close", () => void body?.return?.().catch(() => {}));
  to.on("error", () => to.destroy());
  // Asked for before the headers are sent, because the handler may still set some.
  let chunk = await body?.next();
  if (!to.destroyed) to.writeHead(from.status, Object.fromEntries(from.header ?? []));
  while (body !== undefined && chunk?.done === false && !to.destroyed) {
    if (!to.write(chunk.value)) await taken(to, "drain", bounds);
    chunk = await body.next();
  }
  if (to.destroyed) return;
  const finished = taken(to, "finish", bounds);
  to.end();
  await finished;
}

/** Waits until the client has taken what was written, or is gone. */
function taken(to: ServerResponse, event: "drain" | "finish", bounds: WriteBounds): Promise<void> {
  return new Promise((resolve) => {
    const stopTimer = bounds.clock.after(bounds.stallTimeoutMs, bounds.onStalled);
    const done = () => {
      stopTimer();
      to.off(event, done);
      to.off("close", done);
      resolve();
    };
    to.on(event, done);
    to.on("close", done);
    if (to.destroyed) done();
  });
}
