import { FRAME_PREFIX_BYTES, frameBytes } from "../../base/index.js";
import { Refusal } from "../refusal.js";

const NO_BYTES = Buffer.alloc(0);

/**
 * The one message of a request, as its frame comes in: a byte that says whether it is compressed, four of its length,
 * then itself. Whatever is wrong is refused as soon as it can be seen. No more is kept than the frame is said to have, and no
 * more than twice what has come of it.
 */
export class RequestFrame {
  readonly #maxMessageBytes: number;
  /** What has come: its only part where that is the frame, else a copy with room to grow. */
  #bytes: Buffer = NO_BYTES;
  #sizeBytes = 0;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Takes the next part. Not to be called again after it has refused. */
  add(part: Buffer): Refusal | undefined {
    if (this.#sizeBytes === 0 && part.byteLength >= FRAME_PREFIX_BYTES) return this.#start(part);
    if (this.#sizeBytes >= FRAME_PREFIX_BYTES) return this.#append(part, frameBytes(this.#bytes));
    // The prefix itself comes in parts.
    const missing = Math.min(FRAME_PREFIX_BYTES - this.#sizeBytes, part.byteLength);
    this.#copy(part.subarray(0, missing), FRAME_PREFIX_BYTES);
    if (this.#sizeBytes < FRAME_PREFIX_BYTES) return undefined;
    return this.#refusePrefix(this.#bytes) ?? this.#append(part.subarray(missing), frameBytes(this.#bytes));
  }

  /** The message without its prefix, once the client has ended its request. */
  end(): Buffer | Refusal {
    if (this.#sizeBytes === 0) return noMessage;
    if (this.#sizeBytes < FRAME_PREFIX_BYTES || this.#sizeBytes < frameBytes(this.#bytes)) return truncated;
    return this.#bytes.subarray(FRAME_PREFIX_BYTES, this.#sizeBytes);
  }

  #start(part: Buffer): Refusal | undefined {
    const refusal = this.#refusePrefix(part);
    if (refusal !== undefined) return refusal;
    const size = frameBytes(part);
    if (part.byteLength !== size) return this.#append(part, size);
    this.#bytes = part;
    this.#sizeBytes = size;
    return undefined;
  }

  #refusePrefix(prefix: Buffer): Refusal | undefined {
    const size = frameBytes(prefix) - FRAME_PREFIX_BYTES;
    if (size > this.#maxMessageBytes) return tooLarge(size, this.#maxMessageBytes);
    return prefix[0] === 0 ? undefined : compressed;
  }

  #append(part: Buffer, maxBytes: number): Refusal | undefined {
    if (this.#sizeBytes + part.byteLength > maxBytes) return tooMany;
    this.#copy(part, maxBytes);
    return undefined;
  }

  /** Copies into a buffer that doubles, up to `maxBytes`: a client that sends a byte at a time costs no more than its bytes. */
  #copy(part: Buffer, maxBytes: number): void {
    const needed = this.#sizeBytes + part.byteLength;
    if (this.#bytes.byteLength < needed) {
      // Not of Node's pool, which a small one would keep as a whole.
      const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(needed, 2 * this.#sizeBytes)));
      this.#bytes.copy(larger, 0, 0, this.#sizeBytes);
      this.#bytes = larger;
    }
    part.copy(this.#bytes, this.#sizeBytes);
    this.#sizeBytes = needed;
  }
}

const noMessage = new Refusal("UNIMPLEMENTED", "MALFORMED_FRAME", "the request ended without a message");

const truncated = new Refusal("UNIMPLEMENTED", "MALFORMED_FRAME", "the request ended in the middle of its message");

const tooMany = new Refusal(
  "UNIMPLEMENTED",
  "MALFORMED_FRAME",
  "the request holds more than its one message: this method takes one",
);

const compressed = new Refusal(
  "INTERNAL",
  "MALFORMED_FRAME",
  "the request's message is marked as compressed, but no grpc-encoding says how",
);

function tooLarge(sizeBytes: number, maxBytes: number): Refusal {
  const message = `the request's message has ${sizeBytes} bytes; ${maxBytes} is the limit`;
  return new Refusal("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE", message);
}
