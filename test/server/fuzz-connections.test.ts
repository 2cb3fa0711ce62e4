import { constants } from "node:http2";
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Chance, FACTOR, FuzzedServer } from "./fuzz-support.js";
import { frame, headersOf, literal, PREFACE, TYPES } from "./http2-frames.js";
import { toFrame } from "./transport-support.js";

// Clients that break the protocols below the calls, and those that keep to them and mean no good.

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const chance = new Chance();
let fuzzed: FuzzedServer;

beforeAll(async () => {
  fuzzed = await FuzzedServer.open();
});

afterAll(() => fuzzed.server.stop(0));

/** Sends bytes on a connection of its own, and waits for the server to close it, or for a moment. */
async function send(parts: readonly Uint8Array[], patienceMs = 60): Promise<void> {
  const socket = fuzzed.socket();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  for (const part of parts) if (!socket.destroyed) socket.write(part);
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, patienceMs))]);
  socket.destroy();
  await closed;
}

async function expectSound(): Promise<void> {
  await fuzzed.expectSound();
  await fuzzed.expectEmpty();
}

const settings = frame(TYPES.settings, 0, 0);
const block = headersOf(EVALUATE);
/** The same without a content type. */
const plainBlock = block.subarray(0, block.indexOf("content-type") - 2);
const call = (stream: number) => frame(TYPES.headers, 4, stream, block);
/**
 * One call of each kind: wrong ones, those that are left to grpc-js, and those that are answered on their streams. What comes first
 * is sure to be read in one piece.
 */
const callsOfAllKinds = (): readonly Buffer[] =>
  [
    headersOf("/nobody.Knows/This"),
    plainBlock,
    headersOf("/flagwire.v1.AdminService/Import"),
    headersOf("/flagwire.v1.AdminService/Export"),
    headersOf("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    block,
    headersOf("/flagwire.v1.EvaluationService/Watch"),
  ].map((headers, index) => frame(TYPES.headers, 4, 2 * index + 1, headers));

const resetCallsOfAllKinds = (code: number): readonly Buffer[] =>
  callsOfAllKinds().flatMap((headers) => {
    const stream = headers.readUInt32BE(5);
    return [
      headers,
      frame(TYPES.data, 0, stream, toFrame(Buffer.alloc(0))),
      frame(TYPES.reset, 0, stream, Buffer.from([0, 0, 0, code])),
    ];
  });

test("bytes of any kind do no harm, nor frames that are nearly right", async () => {
  const begin = (): Buffer =>
    chance.one([
      PREFACE,
      Buffer.concat([PREFACE, settings, call(1), frame(TYPES.data, 1, 1, toFrame(Buffer.alloc(4)))]),
      Buffer.from("POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"),
      Buffer.from(`POST ${EVALUATE} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`),
      Buffer.from("GET /readyz HTTP/1.0\r\n\r\n"),
      Buffer.alloc(0),
    ]);
  for (let round = 0; round < 6 * FACTOR; round++) {
    const clients = Array.from({ length: 32 }, () => {
      const frames = Array.from({ length: chance.below(4) }, () =>
        frame(chance.below(12), chance.below(256), chance.below(5), chance.bytes(40)),
      );
      return send([chance.below(3) === 0 ? begin() : chance.mutate(begin()), ...frames, chance.bytes(60)]);
    });
    await Promise.all(clients);
  }
  await expectSound();
}, 120_000);

test.each<[string, () => readonly Uint8Array[]]>([
  ["a flood of settings", () => Array.from({ length: 5_000 }, () => settings)],
  ["a flood of pings", () => Array.from({ length: 5_000 }, () => frame(TYPES.ping, 0, 0, Buffer.alloc(8)))],
  [
    "calls that are reset at once",
    () =>
      Array.from({ length: 2_000 }, (_, index) =>
        Buffer.concat([call(2 * index + 1), frame(TYPES.reset, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8]))]),
      ),
  ],
  [
    "headers that never end",
    () => [
      frame(TYPES.headers, 0, 1, block),
      ...Array.from({ length: 200 }, () => frame(TYPES.continuation, 0, 1, Buffer.alloc(16_000, literal("x", "y")))),
    ],
  ],
  [
    "many more calls than a connection may have",
    () => Array.from({ length: 3_000 }, (_, index) => call(2 * index + 1)),
  ],
  [
    "a goodbye, and calls after it",
    () => [
      call(1),
      frame(TYPES.goaway, 0, 0, Buffer.alloc(8)),
      call(3),
      call(5),
      frame(TYPES.goaway, 0, 0, Buffer.alloc(8)),
    ],
  ],
  // All that a stopped server finds of a client that has given up meanwhile. It comes in one piece with the preface, so that streams
  // are gone before anybody is told of them.
  [
    "calls of all kinds, and a goodbye because of an error,",
    () => [
      ...callsOfAllKinds(),
      frame(TYPES.goaway, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, constants.NGHTTP2_CANCEL])),
    ],
  ],
  [
    "calls of all kinds, and a frame that breaks the protocol,",
    () => [...callsOfAllKinds(), frame(TYPES.ping, 0, 1, Buffer.alloc(8))],
  ],
  ["calls of all kinds, each reset because of an error,", () => resetCallsOfAllKinds(constants.NGHTTP2_INTERNAL_ERROR)],
  ["calls of all kinds, each reset without one,", () => resetCallsOfAllKinds(constants.NGHTTP2_NO_ERROR)],
  [
    "calls of another content type, on a connection that then breaks,",
    () => [
      ...Array.from({ length: 20 }, (_, index) => frame(TYPES.headers, 4, 2 * index + 1, plainBlock)),
      frame(TYPES.data, 0, 0, Buffer.alloc(4)),
    ],
  ],
  [
    "windows that overflow",
    () => [
      call(1),
      frame(TYPES.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
      frame(TYPES.windowUpdate, 0, 1, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    ],
  ],
  [
    "settings that allow nothing",
    () => [frame(TYPES.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0])), call(1)],
  ],
])(
  "%s cost nobody else anything",
  async (_name, parts) => {
    const clients = Array.from({ length: 3 * FACTOR }, () => send([PREFACE, settings, ...parts()], 300));
    // Others are answered meanwhile.
    await fuzzed.expectSound();
    await Promise.all(clients);
    await expectSound();
  },
  60_000,
);

test("who sends slowly and never ends is let go, and those who wait are answered meanwhile", async () => {
  const slow: Socket[] = [
    "P",
    "PRI * HTTP/2.0\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\nx: ",
    `POST ${EVALUATE} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"flag`,
  ].map((text) => {
    const socket = fuzzed.socket();
    socket.write(text);
    return socket;
  });
  const [preface, half, headers] = slow;
  await fuzzed.expectSound();
  // By the limits on what a connection may take to begin; a body has longer, and ends with its client here.
  await vi.waitFor(
    () => expect([preface, half, headers].map((socket) => socket?.destroyed)).toEqual([true, true, true]),
    {
      timeout: 15_000,
    },
  );
  for (const socket of slow) socket.destroy();
  await expectSound();
}, 30_000);

test("streams that are opened and dropped leave nothing, however they go", async () => {
  const session = fuzzed.http2();
  const watch = "/flagwire.v1.EvaluationService/Watch";
  const streams = Array.from({ length: 200 * FACTOR }, () => {
    const stream = session.request({
      ":method": "POST",
      ":path": watch,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${fuzzed.token}`,
    });
    stream.on("error", () => {});
    stream.end(toFrame(Buffer.alloc(0)));
    return stream;
  });
  await vi.waitFor(() => expect(fuzzed.server.stats().watchers).toBeGreaterThan(0));
  for (const [index, stream] of streams.entries()) {
    const how = chance.below(4);
    if (how === 0) stream.close(constants.NGHTTP2_CANCEL);
    else if (how === 1) stream.destroy();
    else if (how === 2) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else if (index % 2 === 0) stream.resume();
  }
  session.goaway();
  setImmediate(() => session.destroy());
  await expectSound();
});
