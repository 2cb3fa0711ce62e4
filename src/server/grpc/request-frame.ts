import { Refusal } from "../refusal.js";

const PREFIX_BYTES = 5;

/**
 * The one message of a unary request, as its frame comes in: a byte that says whether it is compressed, four of its length,
 * then itself. Whatever is wrong is refused as soon as it can be seen, and no more than the limit is ever kept.
 */
export class RequestFrame {
  readonly #maxMessageBytes: number;
  /** What has come. Its first part where it has come in one, else a copy with room to grow. */
  #bytes: Buffer | undefined;
  #sizeBytes = 0;
  #isCopy = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Takes the next part. Not to be called again after it has refused. */
  add(part: Buffer): Refusal | undefined {
    if (this.#bytes === undefined) this.#bytes = part;
    else this.#append(part);
    this.#sizeBytes += part.byteLength;
    return this.#sizeBytes < PREFIX_BYTES ? undefined : this.#refuse(this.#bytes ?? part);
  }

  /** The message without its prefix, once the client has ended its request. */
  end(): Buffer | Refusal {
    const bytes = this.#bytes;
    if (bytes === undefined) return noMessage;
    if (this.#sizeBytes < PREFIX_BYTES || this.#sizeBytes < frameBytes(bytes)) return truncated;
    return bytes.subarray(PREFIX_BYTES, this.#sizeBytes);
  }

  #refuse(bytes: Buffer): Refusal | undefined {
    const size = frameBytes(bytes);
    if (size - PREFIX_BYTES > this.#maxMessageBytes) return tooLarge(size - PREFIX_BYTES, this.#maxMessageBytes);
    if (bytes[0] !== 0) return compressed;
    return this.#sizeBytes > size ? tooMany : undefined;
  }

  /** Copies into a buffer that doubles: a client that sends a byte at a time costs no more than its bytes. */
  #append(part: Buffer): void {
    const needed = this.#sizeBytes + part.byteLength;
    let into = this.#bytes;
    if (into === undefined || !this.#isCopy || into.byteLength < needed) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#sizeBytes));
      into?.copy(larger, 0, 0, this.#sizeBytes);
      into = larger;
      this.#isCopy = true;
      this.#bytes = larger;
    }
    part.copy(into, this.#sizeBytes);
  }
}

/** The size of a frame by its prefix, which has come. */
function frameBytes(frame: Buffer): number {
  return PREFIX_BYTES + frame.readUInt32BE(1);
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
