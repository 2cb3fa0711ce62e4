/** Types of HTTP/2 frames (RFC 9113, section 6). */
export const frameType = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const;

/** On DATA and HEADERS. On SETTINGS and PING the same bit is `ACK`. */
export const endStream = 1;
export const ack = 1;
const endHeaders = 4;
export const padded = 8;

export const frameHeaderBytes = 9;
/** What a stream, and a connection, may receive before the first WINDOW_UPDATE. */
export const initialWindowBytes = 65_535;

const nothing = Buffer.alloc(0);
const prefaceText = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function toFrame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + payload.byteLength);
  frame.writeUIntBE(payload.byteLength, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(stream, 5);
  payload.copy(frame, frameHeaderBytes);
  return frame;
}

/** What a client sends first: no pushes, and no table of headers, which are never looked at. */
export function toPreface(): Buffer {
  const settings = Buffer.alloc(12);
  settings.writeUInt16BE(1, 0); // HEADER_TABLE_SIZE: 0
  settings.writeUInt16BE(2, 6); // ENABLE_PUSH: 0
  return Buffer.concat([Buffer.from(prefaceText, "latin1"), toFrame(frameType.settings, 0, 0, settings)]);
}

export const settingsAck = toFrame(frameType.settings, ack, 0, nothing);

/** The answer to a PING with these eight bytes. */
export function toPingAck(payload: Buffer): Buffer {
  return toFrame(frameType.ping, ack, 0, payload);
}

/** Stream 0 is the connection. */
export function toWindowUpdate(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return toFrame(frameType.windowUpdate, 0, stream, payload);
}

/** A gRPC call with its one message, which is the last of its side. */
export function toCall(stream: number, headers: Buffer, message: Buffer): Buffer {
  return Buffer.concat([
    toFrame(frameType.headers, endHeaders, stream, headers),
    toFrame(frameType.data, endStream, stream, message),
  ]);
}

/** A gRPC call's headers, in HPACK: indices of its static table, and literals that are neither indexed nor compressed. */
export function toCallHeaders(authority: string, path: string): Buffer {
  const post = Buffer.of(0x83);
  const http = Buffer.of(0x86);
  const named = (index: number, value: string) => Buffer.concat([toNameIndex(index), toText(value)]);
  const te = Buffer.concat([Buffer.of(0), toText("te"), toText("trailers")]);
  return Buffer.concat([post, http, named(4, path), named(1, authority), named(31, "application/grpc"), te]);
}

/** Of a literal that is not indexed: four bits, the rest in a second byte. */
function toNameIndex(index: number): Buffer {
  return index < 15 ? Buffer.of(index) : Buffer.of(15, index - 15);
}

/** Shorter than 127 bytes. */
function toText(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, "latin1")]);
}
