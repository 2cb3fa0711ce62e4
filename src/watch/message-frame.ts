/** Bytes that gRPC puts before a message: whether it is compressed, and its length. */
export const FRAME_PREFIX_BYTES = 5;

/** Parts of a message as one, in a frame of gRPC's that is not compressed. Nobody may change it: all who watch share it. */
export function joinFrame(parts: readonly Uint8Array[]): Buffer {
  let messageBytes = 0;
  for (const part of parts) messageBytes += part.byteLength;
  // Not of Node's pool, of which a small frame would keep 8 KiB.
  const frame = Buffer.allocUnsafeSlow(FRAME_PREFIX_BYTES + messageBytes);
  frame[0] = 0;
  frame.writeUInt32BE(messageBytes, 1);
  let at = FRAME_PREFIX_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  return frame;
}
