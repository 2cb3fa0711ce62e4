/** Bytes before a message: whether it is compressed, and its length. */
export const FRAME_PREFIX_BYTES = 5;

/** A frame of gRPC's for a message of so many bytes, not compressed, whose bytes are still to be set. */
export function createFrame(messageBytes: number): Buffer {
  // Not of Node's pool: frames are kept, and a small one would keep 8 KiB with it.
  const frame = Buffer.allocUnsafeSlow(FRAME_PREFIX_BYTES + messageBytes);
  frame[0] = 0;
  frame.writeUInt32BE(messageBytes, 1);
  return frame;
}

/** A message in its frame. */
export function toFrame(message: Uint8Array): Buffer {
  const frame = createFrame(message.byteLength);
  frame.set(message, FRAME_PREFIX_BYTES);
  return frame;
}
