import { connect, type Socket } from "node:net";
import {
  ack,
  endStream,
  frameHeaderBytes,
  frameType,
  initialWindowBytes,
  padded,
  settingsAck,
  toCall,
  toPingAck,
  toPreface,
  toWindowUpdate,
} from "./raw-frames.js";
import { type WatchMessage, WatchReader } from "./watch-reader.js";

export interface RawConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Calls, each on a stream of its own, begun as soon as it is connected. */
  readonly streams: number;
  /** Of each call; see `toCallHeaders`. */
  readonly headers: Buffer;
  /** Of each call, as gRPC sends it. */
  readonly message: Buffer;
}

export interface RawConnectionEvents {
  /** By the index of its stream in the connection. */
  message(stream: number, message: WatchMessage): void;
  /** The server ended a stream. */
  ended(stream: number): void;
  connected(): void;
  /** The connection is gone, or could not be opened. */
  closed(): void;
}

/** One buffer for all connections of the process: what was read is looked at before the next is read. */
const received = Buffer.alloc(262_144);
const nothing = Buffer.alloc(0);
const halfWindowBytes = initialWindowBytes >>> 1;

/**
 * A connection that calls Watch and knows no more of HTTP/2 than that takes. Each stream has the window that HTTP/2 begins
 * with, and the connection that of all its streams.
 */
export class RawConnection {
  readonly #socket: Socket;
  readonly #readers: WatchReader[];
  /** Received and not yet given back, for each stream and for the connection. */
  readonly #unreturned: Float64Array;
  #unreturnedInAll = 0;
  #carry: Buffer = nothing;

  constructor(
    options: RawConnectionOptions,
    readonly events: RawConnectionEvents,
  ) {
    const { host, port, streams } = options;
    this.#readers = Array.from({ length: streams }, () => new WatchReader());
    this.#unreturned = new Float64Array(streams);
    const onread = { buffer: received, callback: (bytes: number): boolean => this.#read(bytes) };
    this.#socket = connect({ host, port, noDelay: true, onread });
    this.#socket.once("connect", () => {
      this.#socket.write(toOpening(options));
      events.connected();
    });
    this.#socket.on("error", () => {});
    this.#socket.once("close", () => events.closed());
  }

  /** Ends it with a reset, so that no port is kept waiting. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #read(bytes: number): boolean {
    const fresh = received.subarray(0, bytes);
    const data = this.#carry.byteLength === 0 ? fresh : Buffer.concat([this.#carry, fresh]);
    let at = 0;
    while (data.byteLength - at >= frameHeaderBytes) {
      const next = at + frameHeaderBytes + data.readUIntBE(at, 3);
      if (next > data.byteLength) break;
      this.#onFrame(data[at + 3] ?? 0, data[at + 4] ?? 0, data.readUInt32BE(at + 5), data, at + frameHeaderBytes, next);
      at = next;
    }
    this.#carry = at === data.byteLength ? nothing : Buffer.from(data.subarray(at));
    return true;
  }

  #onFrame(type: number, flags: number, id: number, data: Buffer, from: number, to: number): void {
    const stream = (id - 1) >>> 1;
    switch (type) {
      case frameType.data:
        if ((flags & padded) !== 0) throw new Error("a frame is padded, which this does not read");
        this.#readers[stream]?.read(data.subarray(from, to), (message) => this.events.message(stream, message));
        this.#giveBack(stream, to - from);
        break;
      case frameType.settings:
        if ((flags & ack) === 0) this.#socket.write(settingsAck);
        break;
      case frameType.ping:
        if ((flags & ack) === 0) this.#socket.write(toPingAck(data.subarray(from, to)));
        break;
      case frameType.resetStream:
        this.events.ended(stream);
        break;
    }
    if ((type === frameType.data || type === frameType.headers) && (flags & endStream) !== 0) this.events.ended(stream);
  }

  #giveBack(stream: number, bytes: number): void {
    const unreturned = (this.#unreturned[stream] ?? 0) + bytes;
    this.#unreturned[stream] = unreturned;
    this.#unreturnedInAll += bytes;
    if (unreturned >= halfWindowBytes) {
      this.#socket.write(toWindowUpdate(id(stream), unreturned));
      this.#unreturned[stream] = 0;
    }
    if (this.#unreturnedInAll >= halfWindowBytes) {
      this.#socket.write(toWindowUpdate(0, this.#unreturnedInAll));
      this.#unreturnedInAll = 0;
    }
  }
}

function id(stream: number): number {
  return 2 * stream + 1;
}

function toOpening({ streams, headers, message }: RawConnectionOptions): Buffer {
  const more = streams > 1 ? [toWindowUpdate(0, initialWindowBytes * (streams - 1))] : [];
  const calls = Array.from({ length: streams }, (_, stream) => toCall(id(stream), headers, message));
  return Buffer.concat([toPreface(), ...more, ...calls]);
}
