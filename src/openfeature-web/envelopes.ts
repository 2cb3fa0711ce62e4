import { CallError } from "./call-error.js";

/** A message of a stream as Connect frames it: one byte of flags, the length in four, then so many bytes. */
export interface Envelope {
  readonly flags: number;
  readonly text: string;
}

const PREFIX_BYTES = 5;
/** More than a server sends: whatever frames so much is something else. */
const MAX_BYTES = 64 * 2 ** 20;

/** Envelopes as they come; `onBytes` is told of parts too. What is left when the body ends is dropped: the stream was cut off. */
export async function* readEnvelopes(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => {},
): AsyncGenerator<Envelope, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let held: Uint8Array = new Uint8Array();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      held = held.byteLength === 0 ? value : joined(held, value);
      for (let end = envelopeBytes(held); end <= held.byteLength; end = envelopeBytes(held)) {
        yield { flags: held[0] ?? 0, text: decoder.decode(held.subarray(PREFIX_BYTES, end)) };
        held = held.subarray(end);
      }
    }
  } finally {
    // Nobody reads on; what that rejects with is nobody's.
    reader.cancel().catch(() => {});
  }
}

/** A message in its envelope. */
export function toEnvelope(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const envelope = new Uint8Array(PREFIX_BYTES + bytes.byteLength);
  new DataView(envelope.buffer).setUint32(1, bytes.byteLength);
  envelope.set(bytes, PREFIX_BYTES);
  return envelope;
}

/** How long the first envelope is, as far as its prefix is there. */
function envelopeBytes(held: Uint8Array): number {
  if (held.byteLength < PREFIX_BYTES) return PREFIX_BYTES;
  const size = new DataView(held.buffer, held.byteOffset).getUint32(1);
  if (size > MAX_BYTES) throw new CallError("not-connect", "what answered does not frame messages as Connect does");
  return PREFIX_BYTES + size;
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(before.byteLength + after.byteLength);
  both.set(before);
  both.set(after, before.byteLength);
  return both;
}
