import { expect, it, vi } from "vitest";
import { RequestFrame } from "../../src/server/grpc/request-frame.js";
import { toFrame } from "./transport-support.js";

const MIB = 1024 * 1024;

/** Bytes of the buffers that are made while `action` runs. */
function allocatedBytes(action: () => void): number[] {
  const spies = [vi.spyOn(Buffer, "allocUnsafe"), vi.spyOn(Buffer, "allocUnsafeSlow"), vi.spyOn(Buffer, "alloc")];
  try {
    action();
    return spies.flatMap((spy) => spy.mock.calls.map(([size]) => size));
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

it("a frame that comes in one part is not copied", () => {
  const message = Buffer.from("message");
  const part = toFrame(message);
  const frame = new RequestFrame(MIB);
  expect(allocatedBytes(() => expect(frame.add(part)).toBeUndefined())).toEqual([]);
  const given = frame.end() as Buffer;
  expect(given).toEqual(message);
  expect(given.buffer).toBe(part.buffer);
});

it.each([1, 3, 4, 5, 6, 1_000, 40_000])(
  "a frame in parts of %d bytes never has more room than it is said to need",
  (partBytes) => {
    const whole = toFrame(Buffer.alloc(65_536, 7));
    const frame = new RequestFrame(MIB);
    const sizes = allocatedBytes(() => {
      for (let at = 0; at < whole.byteLength; at += partBytes) {
        if (frame.add(whole.subarray(at, at + partBytes)) !== undefined) throw new Error("it is sound");
      }
    });
    expect(Math.max(...sizes)).toBe(whole.byteLength);
    expect(frame.end()).toEqual(whole.subarray(5));
    // Doubling: what is copied is less than twice the frame, whatever the parts.
    expect(sizes.length).toBeLessThan(20);
  },
);

it("a frame has no more room than twice what has come, however much it announces", () => {
  const part = toFrame(Buffer.alloc(MIB)).subarray(0, 100);
  const frame = new RequestFrame(MIB);
  const sizes = allocatedBytes(() => {
    frame.add(part);
    frame.add(part.subarray(0, 1));
  });
  expect(sizes).toEqual([100, 200]);
});

it("what comes beyond the frame is refused before there is room for it", () => {
  const part = toFrame(Buffer.alloc(10)).subarray(0, 12);
  const more = Buffer.alloc(MIB);
  const frame = new RequestFrame(MIB);
  const sizes = allocatedBytes(() => {
    expect(frame.add(part)).toBeUndefined();
    expect(frame.add(more)).toMatchObject({ code: "UNIMPLEMENTED" });
  });
  expect(sizes).toEqual([12]);
});
