/** Bytes that gRPC puts before a message: whether it is compressed, and its length. */
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

/** Parts of a message as one, in a frame. */
export function joinFrame(parts: readonly Uint8Array[]): Buffer {
  let messageBytes = 0;
  for (const part of parts) messageBytes += part.byteLength;
  const frame = createFrame(messageBytes);
  let at = FRAME_PREFIX_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  return frame;
}

/** The size of a frame, in bytes, by its prefix, which has come. */
export function frameBytes(frame: Buffer): number {
  return FRAME_PREFIX_BYTES + frame.readUInt32BE(1);
}
