import type { Socket } from "node:net";
import type { Clock } from "../base/index.js";

/** What a client sends first on HTTP/2 (RFC 9113, section 3.4). */
const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export type Protocol = "http1" | "http2";

export interface PrefaceOptions {
  readonly clock: Clock;
  /** How long a client may take, in milliseconds; then its connection is destroyed. */
  readonly timeoutMs: number;
}

/**
 * Calls `then` once a connection's first bytes tell what it speaks. They stay in the socket, to be read again.
 * A client that leaves or is too slow is never heard of.
 */
export function peekProtocol(socket: Socket, options: PrefaceOptions, then: (protocol: Protocol) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const stopTimer = options.clock.after(options.timeoutMs, () => socket.destroy());
  const stop = () => {
    stopTimer();
    socket.off("readable", onReadable);
    socket.off("error", onError);
    socket.off("close", stop);
  };
  // Until a server takes over, an error would be nobody's, and end the process.
  const onError = () => socket.destroy();
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const protocol = recognize(seen);
    if (protocol === undefined) return;
    stop();
    socket.unshift(seen);
    then(protocol);
  };
  socket.on("readable", onReadable);
  socket.on("error", onError);
  socket.on("close", stop);
}

/** Undefined while the bytes could become either. */
function recognize(seen: Buffer): Protocol | undefined {
  const length = Math.min(seen.length, HTTP2_PREFACE.length);
  if (seen.compare(HTTP2_PREFACE, 0, length, 0, length) !== 0) return "http1";
  return length === HTTP2_PREFACE.length ? "http2" : undefined;
}
