import type { IncomingMessage } from "node:http";

/** So many times what it may be is read, and thrown away, of a body that is too large: many clients hear no answer before. */
const PATIENCE = 4;

/** Calls `done` with the whole body, or with undefined if it has more than `maxBytes`; never if the client leaves before. */
export function readBody(request: IncomingMessage, maxBytes: number, done: (body: Buffer | undefined) => void): void {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let isDone = false;
  const finish = (body: Buffer | undefined): void => {
    if (isDone) return;
    isDone = true;
    done(body);
  };
  request.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.byteLength;
    if (sizeBytes <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
    if (sizeBytes > maxBytes * PATIENCE) finish(undefined);
  });
  request.on("end", () => {
    const [first] = chunks;
    const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    finish(sizeBytes > maxBytes ? undefined : whole);
  });
}
