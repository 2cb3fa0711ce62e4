import { type ClientHttp2Session, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EvaluateRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { readHeader } from "../../src/server/grpc/request-header.js";
import { runs } from "../engine/arbitrary-words.js";
import { openTestServer, type TestServer, toFrame } from "./transport-support.js";

const EVALUATE = "/flagwire.v1.EvaluationService/Evaluate";
const MAX_MESSAGE_BYTES = 200;

let server: TestServer;
let session: ClientHttp2Session;

beforeAll(async () => {
  server = await openTestServer({ limits: { maxMessageBytes: MAX_MESSAGE_BYTES } });
  session = connect(server.url);
});

afterAll(async () => {
  session.destroy();
  await server.listener.stop(0);
});

/** The HTTP status and gRPC's, of a request in these parts. */
function call(parts: readonly Uint8Array[], headers: Record<string, string>): Promise<readonly unknown[]> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":path": EVALUATE,
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let http: unknown;
    let grpc: unknown;
    stream.on("error", () => {});
    stream.on("response", (given) => {
      http = given[":status"];
      grpc = given["grpc-status"];
    });
    stream.on("trailers", (given) => {
      grpc = given["grpc-status"];
    });
    stream.on("close", () => resolve([http, grpc, stream.rstCode]));
    stream.resume();
    for (const part of parts) stream.write(part);
    stream.end();
  });
}

/** The status that these bytes deserve, as the request of a handler that takes every message. */
function statusOf(bytes: Buffer): string {
  if (bytes.byteLength < 5) return "12";
  const size = bytes.readUInt32BE(1);
  if (size > MAX_MESSAGE_BYTES) return "8";
  if (bytes[0] !== 0) return "13";
  if (bytes.byteLength !== size + 5) return "12";
  try {
    fromBinary(EvaluateRequestSchema, bytes.subarray(5));
    return "0";
  } catch {
    return "3";
  }
}

const requests = fc
  .record({ flagKey: fc.string({ maxLength: 20 }), context: fc.record({ targetingKey: fc.string({ maxLength: 20 }) }) })
  .map((request) => Buffer.from(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, request))));
const messages = fc.oneof(requests, fc.uint8Array({ maxLength: 2 * MAX_MESSAGE_BYTES }).map(Buffer.from));
const cuts = fc.array(fc.nat(60), { maxLength: 4 });
/** A frame as it should be, or with some of its bytes changed, cut off, repeated or added to. */
const frames = fc
  .record({
    frame: messages.map((message) => toFrame(message)),
    changes: fc.array(fc.tuple(fc.nat(30), fc.nat(255)), { maxLength: 2 }),
    length: fc.option(fc.nat(40), { freq: 3 }),
    times: fc.constantFrom(1, 1, 1, 2),
    tail: fc.oneof({ weight: 4, arbitrary: fc.constant(new Uint8Array()) }, fc.uint8Array({ maxLength: 10 })),
  })
  .map(({ frame, changes, length, times, tail }) => {
    for (const [at, byte] of changes) if (at < frame.byteLength) frame[at] = byte;
    const kept = length === null ? frame : frame.subarray(0, length);
    return Buffer.concat([...Array.from({ length: times }, () => kept), tail]);
  });

it("every request is answered with the status it deserves, in whatever frames and parts it comes", async () => {
  const property = fc.asyncProperty(frames, cuts, async (bytes, places) => {
    // "never" is the test server's for a call without an answer.
    fc.pre(!bytes.includes("never"));
    const parts: Buffer[] = [];
    let from = 0;
    for (const to of [...places.sort((a, b) => a - b), bytes.byteLength]) {
      if (to > from) parts.push(bytes.subarray(from, to));
      from = Math.max(from, to);
    }
    expect(await call(parts, {})).toEqual([200, statusOf(bytes), 0]);
  });
  await fc.assert(property, runs(400));
}, 60_000);

const isPlain = (headers: Record<string, unknown>): boolean =>
  ["POST", undefined].includes(headers[":method"] as string) &&
  [EVALUATE, undefined].includes(headers[":path"] as string) &&
  ["application/grpc+proto", undefined].includes(headers["content-type"] as string) &&
  ["identity", undefined].includes(headers["grpc-encoding"] as string);

/** What a sound message may be answered with such headers: a very short time may pass before it has come. */
function statusesOf(headers: Record<string, unknown>, isCompressed: boolean): readonly string[] {
  const timeout = headers["grpc-timeout"];
  if (timeout !== undefined && !/^\d{1,8}[HMSmun]$/.test(String(timeout))) return ["13"];
  const mayExpire = timeout !== undefined && /^\d{1,8}[mun]|^0+/.test(String(timeout));
  return [isCompressed ? "13" : "0", ...(mayExpire ? ["4"] : [])];
}

it("no combination of headers breaks the server, and each call is answered", async () => {
  const oneOf = (...values: string[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const timeout = fc.option(fc.oneof(fc.constantFrom("1S", "0n", "99999999H"), fc.string({ maxLength: 6 })));
  const headers = fc.record({
    ":method": oneOf("POST", "GET", "PUT", "OPTIONS"),
    ":path": oneOf(
      EVALUATE,
      `${EVALUATE}?x=1`,
      "/",
      "*",
      EVALUATE.toLowerCase(),
      "/flagwire.v1.EvaluationService/BulkEvaluate",
    ),
    "content-type": oneOf(
      "application/grpc+proto",
      "application/grpc+json",
      "application/json",
      "",
      "application/grpc;x",
    ),
    "grpc-encoding": oneOf("identity", "gzip", "zebra", ""),
    "grpc-timeout": timeout.map((value) => value?.replace(/[^!-~]/g, "?")),
    // Not a shorter one: for that, nghttp2 ends the whole connection from Node 22 on.
    "content-length": oneOf("999"),
    te: oneOf("trailers"),
    "flagwire-author": oneOf("ann", "\xe9\xff", " "),
    "x-variant": oneOf("on", "a,b"),
    "x-variant-bin": oneOf("AAE=", "***"),
  });
  const property = fc.asyncProperty(headers, fc.boolean(), async (given, isCompressed) => {
    const defined: Record<string, unknown> = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    );
    const [http, grpc, rstCode] = await call(
      [toFrame(Buffer.from([0x12, 1, 0x66]), isCompressed)],
      defined as Record<string, string>,
    );
    // grpc-js answers HTTP 415 to what is no gRPC; HTTP/2 itself refuses a length that is not so.
    const isAnswered = http === 200 ? /^(0|4|8|12|13)$/.test(String(grpc)) : http === 415 || rstCode !== 0;
    expect([isAnswered, http, grpc, rstCode]).toEqual([true, http, grpc, rstCode]);
    if (http === 200 && isPlain(defined)) expect(statusesOf(defined, isCompressed)).toContain(grpc);
    expect(await call([toFrame(Buffer.from([0x12, 1, 0x66]))], {})).toEqual([200, "0", 0]);
  });
  // Not many more: Node ends a connection after a thousand requests that HTTP/2 itself refuses.
  await fc.assert(property, runs(300));
}, 60_000);

it("a handler reads the same headers as by grpc-js", () => {
  const name = fc.constantFrom(
    "x-a",
    "x-b-bin",
    "grpc-tags-bin",
    "authorization",
    "te",
    "content-type",
    "grpc-timeout",
  );
  const value = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.base64String({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const values = fc.oneof(
    value,
    fc.array(value, { maxLength: 3 }),
    fc.tuple(value, value).map((pair) => pair.join(", ")),
  );
  const property = fc.property(fc.dictionary(name, values), name, (headers, read) => {
    const metadata = Metadata.fromHttp2Headers(headers);
    // What grpc-js takes out before a handler sees it.
    for (const reserved of ["te", "content-type", "grpc-timeout"]) metadata.remove(reserved);
    expect(readHeader(headers, read)).toBe(metadata.get(read)[0]?.toString());
  });
  fc.assert(property, runs(2_000));
});
