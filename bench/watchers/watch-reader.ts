/** What one message of Watch brought, read without decoding its items. */
export interface WatchMessage {
  /** UpdateKind of the update that began; 0 where none did. */
  readonly kind: number;
  readonly items: number;
  /** Of the commit or the heartbeat; undefined where it has neither. */
  readonly revision: number | undefined;
  readonly epoch: string | undefined;
  readonly isHeartbeat: boolean;
  readonly isGoodbye: boolean;
  /** In protobuf's binary form. Absent where it came in parts. Valid until the listener returns. */
  readonly bytes: Buffer | undefined;
  readonly sizeBytes: number;
}

const field = { begin: 1, items: 2, commit: 3, heartbeat: 4, goodbye: 5 } as const;
const nothing = Buffer.alloc(0);
const grpcHeaderBytes = 5;

/** The messages of one stream, from its DATA frames. Holds no more than the part of a field that is not an item. */
export class WatchReader {
  #carry: Buffer = nothing;
  #isInMessage = false;
  /** Bytes of the message that are still to be read, and those of them that belong to an item. */
  #leftBytes = 0;
  #skipBytes = 0;
  #sizeBytes = 0;
  #kind = 0;
  #items = 0;
  #position: Position | undefined;
  #isHeartbeat = false;
  #isGoodbye = false;

  /** Calls `listener` for each message that ends in this payload, which is not kept. */
  read(payload: Buffer, listener: (message: WatchMessage) => void): void {
    const data = this.#carry.byteLength === 0 ? payload : Buffer.concat([this.#carry, payload]);
    let at = 0;
    let startedAt = -1;
    for (;;) {
      if (!this.#isInMessage) {
        if (data.byteLength - at < grpcHeaderBytes) break;
        this.#begin(data.readUInt32BE(at + 1));
        at += grpcHeaderBytes;
        startedAt = at;
      }
      const skipped = Math.min(this.#skipBytes, data.byteLength - at);
      this.#skipBytes -= skipped;
      this.#leftBytes -= skipped;
      at += skipped;
      if (this.#leftBytes === 0) {
        this.#isInMessage = false;
        listener(this.#toMessage(startedAt < 0 ? undefined : data.subarray(startedAt, at)));
        continue;
      }
      const taken = this.#skipBytes > 0 ? 0 : this.#readField(data, at);
      if (taken === 0) break;
      at += taken;
      this.#leftBytes -= taken;
    }
    this.#carry = at === data.byteLength ? nothing : Buffer.from(data.subarray(at));
  }

  #begin(sizeBytes: number): void {
    this.#isInMessage = true;
    this.#leftBytes = sizeBytes;
    this.#sizeBytes = sizeBytes;
    this.#kind = 0;
    this.#items = 0;
    this.#position = undefined;
    this.#isHeartbeat = false;
    this.#isGoodbye = false;
  }

  /** How many bytes were read; 0 if the field is not all there. All fields of the message are length-delimited. */
  #readField(data: Buffer, at: number): number {
    const length = readVarint(data, at + 1);
    if (length === undefined) return 0;
    const number = (data[at] ?? 0) >>> 3;
    const headerBytes = 1 + length.sizeBytes;
    if (number === field.items) {
      this.#items++;
      this.#skipBytes = length.value;
      return headerBytes;
    }
    const from = at + headerBytes;
    if (data.byteLength - from < length.value) return 0;
    const value = data.subarray(from, from + length.value);
    if (number === field.begin) this.#kind = value.byteLength === 0 ? 0 : (value[1] ?? 0);
    else if (number === field.goodbye) this.#isGoodbye = true;
    else if (number === field.commit || number === field.heartbeat) {
      this.#position = readPosition(value);
      this.#isHeartbeat = number === field.heartbeat;
    }
    return headerBytes + length.value;
  }

  #toMessage(bytes: Buffer | undefined): WatchMessage {
    return {
      kind: this.#kind,
      items: this.#items,
      revision: this.#position?.revision,
      epoch: this.#position?.epoch,
      isHeartbeat: this.#isHeartbeat,
      isGoodbye: this.#isGoodbye,
      bytes,
      sizeBytes: this.#sizeBytes,
    };
  }
}

interface Position {
  readonly epoch: string;
  readonly revision: number;
}

/** The first field of a commit and of a heartbeat: an epoch, then a revision. */
function readPosition(value: Buffer): Position {
  const length = readVarint(value, 1);
  const epochAt = 1 + (length?.sizeBytes ?? 0);
  const epochLength = readVarint(value, epochAt + 1);
  const from = epochAt + 1 + (epochLength?.sizeBytes ?? 0);
  const to = from + (epochLength?.value ?? 0);
  const revision = readVarint(value, to + 1);
  if (value[0] !== 0x0a || value[epochAt] !== 0x0a || value[to] !== 0x10 || revision === undefined) {
    throw new Error("a position is not of the form that this reads");
  }
  return { epoch: value.toString("latin1", from, to), revision: revision.value };
}

/** Undefined where it is not all there. */
function readVarint(data: Buffer, at: number): { readonly value: number; readonly sizeBytes: number } | undefined {
  let value = 0;
  for (let index = 0; index < 10; index++) {
    const byte = data[at + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, sizeBytes: index + 1 };
  }
  throw new Error("a number is longer than ten bytes");
}
