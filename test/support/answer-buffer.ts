const HEADER_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const END_STREAM = 0x1;

/**
 * Holds back the bodies of a server's answers as a buffering proxy does: of each HTTP/2 stream, the DATA frames come out
 * together at its end, or as soon as there are so many bytes of them. All other frames pass, so that headers keep their
 * order, on which their compression rests. The limit must be below the window that the client grants (65,535 bytes unless
 * it says otherwise): the server sends nothing beyond that as long as the client has seen nothing.
 */
export class AnswerBuffer {
  readonly #limitBytes: number;
  readonly #held = new Map<number, Buffer[]>();
  #incomplete: Buffer = Buffer.alloc(0);

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** What is to be sent on now. */
  take(bytes: Buffer): Buffer[] {
    this.#incomplete = Buffer.concat([this.#incomplete, bytes]);
    const out: Buffer[] = [];
    for (;;) {
      const frame = this.#nextFrame();
      if (frame === undefined) return out;
      this.#pass(frame, out);
    }
  }

  /** Everything that is held, at the end. */
  release(): Buffer[] {
    const all = [...this.#held.values()].flat();
    this.#held.clear();
    return this.#incomplete.length === 0 ? all : [...all, this.#incomplete];
  }

  #nextFrame(): Buffer | undefined {
    if (this.#incomplete.length < HEADER_BYTES) return undefined;
    const sizeBytes = HEADER_BYTES + this.#incomplete.readUIntBE(0, 3);
    if (this.#incomplete.length < sizeBytes) return undefined;
    const frame = this.#incomplete.subarray(0, sizeBytes);
    this.#incomplete = this.#incomplete.subarray(sizeBytes);
    return frame;
  }

  #pass(frame: Buffer, out: Buffer[]): void {
    const type = frame.readUInt8(3);
    const stream = frame.readUInt32BE(5) & 0x7fffffff;
    const held = this.#held.get(stream) ?? [];
    const isLast =
      type === RST_STREAM || ((type === DATA || type === HEADERS) && (frame.readUInt8(4) & END_STREAM) !== 0);
    if (type === DATA && !isLast) {
      held.push(frame);
      this.#held.set(stream, held);
      if (held.reduce((sum, { length }) => sum + length, 0) < this.#limitBytes) return;
    }
    if (type === DATA || isLast) {
      out.push(...held);
      this.#held.delete(stream);
    }
    if (type !== DATA || isLast) out.push(frame);
  }
}
