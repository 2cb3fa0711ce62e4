import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { toGrpcFrame } from "../../bench/unary/grpc-frame.js";
import { type WatchMessage, WatchReader } from "../../bench/watchers/watch-reader.js";
import { GoodbyeReason, UpdateKind, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";

const toFrame = (response: MessageInitShape<typeof WatchResponseSchema>): Buffer =>
  toGrpcFrame(toBinary(WatchResponseSchema, create(WatchResponseSchema, response)));

const deleted = (key: string) => ({ kind: { case: "deletedFlagKey" as const, value: key } });
const position = (revision: bigint) => ({ epoch: "an-epoch", revision });

const begun = toFrame({ begin: { kind: UpdateKind.FULL }, items: [deleted("a"), deleted("b".repeat(300))] });
const committed = toFrame({ items: [deleted("c")], commit: { position: position(70_000n), digest: "0".repeat(16) } });
const heartbeat = toFrame({ heartbeat: { position: position(2n ** 40n) } });
const goodbye = toFrame({ goodbye: { reason: GoodbyeReason.SHUTDOWN } });
const stream = Buffer.concat([begun, committed, heartbeat, goodbye]);

const summaries = [
  { kind: UpdateKind.FULL, items: 2, revision: undefined, isHeartbeat: false, isGoodbye: false },
  { kind: 0, items: 1, revision: 70_000, epoch: "an-epoch", isHeartbeat: false, isGoodbye: false },
  { kind: 0, items: 0, revision: 2 ** 40, epoch: "an-epoch", isHeartbeat: true, isGoodbye: false },
  { kind: 0, items: 0, revision: undefined, isHeartbeat: false, isGoodbye: true },
];

function readAll(parts: readonly Buffer[]): WatchMessage[] {
  const reader = new WatchReader();
  const messages: WatchMessage[] = [];
  for (const part of parts) reader.read(part, (message) => messages.push(message));
  return messages;
}

describe("a reader of Watch's messages", () => {
  it("tells what each brought", () => {
    expect(readAll([stream])).toMatchObject(summaries);
  });

  it("tells the same wherever the bytes are cut in two", () => {
    for (let at = 0; at <= stream.byteLength; at++) {
      expect(readAll([stream.subarray(0, at), stream.subarray(at)]), `cut at ${at}`).toMatchObject(summaries);
    }
  });

  it("tells the same of single bytes", () => {
    const parts = Array.from(stream, (byte) => Buffer.of(byte));
    expect(readAll(parts)).toMatchObject(summaries);
  });

  it("gives the bytes of a message that came in one piece", () => {
    const [first, second] = readAll([Buffer.concat([heartbeat, goodbye.subarray(0, 6)]), goodbye.subarray(6)]);
    expect(first?.bytes?.equals(heartbeat.subarray(5))).toBe(true);
    expect(second?.bytes).toBeUndefined();
  });
});
