import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toContextJson } from "../../src/openfeature-web/context-json.js";
import { readEnvelopes, toEnvelope } from "../../src/openfeature-web/envelopes.js";
import { fingerprint } from "../../src/openfeature-web/fingerprint.js";
import { runs, SEED } from "../engine/arbitrary-words.js";

function bodyOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function textsOf(chunks: readonly Uint8Array[]): Promise<string[]> {
  const texts: string[] = [];
  for await (const { flags, text } of readEnvelopes(bodyOf(chunks))) texts.push(`${flags}:${text}`);
  return texts;
}

describe("envelopes", () => {
  it(`are read however the network cuts them (seed ${SEED})`, async () => {
    const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { maxLength: 5 });
    const cuts = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, cuts, async (messages, sizes) => {
        const whole = Buffer.concat(messages.map(toEnvelope));
        const chunks: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < whole.byteLength; turn++) {
          const size = 1 + (sizes[turn % sizes.length] ?? 0);
          chunks.push(new Uint8Array(whole.subarray(at, at + size)));
          at += size;
        }
        expect(await textsOf(chunks)).toEqual(messages.map((text) => `0:${text}`));
      }),
      runs(200),
    );
  });

  it("that are cut off are none", async () => {
    const [whole, half] = [toEnvelope('{"a":1}'), toEnvelope('{"b":2}').subarray(0, 8)];
    expect(await textsOf([whole, half])).toEqual(['0:{"a":1}']);
  });

  it("of no sensible size are not waited for", async () => {
    await expect(textsOf([new TextEncoder().encode("<html>what a portal says")])).rejects.toMatchObject({
      code: "not-connect",
    });
  });
});

describe("a context", () => {
  it("is the same text in any order, and another with any other value", () => {
    const text = (context: object) => JSON.stringify(toContextJson(context as never));
    expect(text({ b: [{ d: 1, c: 2 }], targetingKey: "u", a: null })).toBe(
      text({ a: null, targetingKey: "u", b: [{ c: 2, d: 1 }] }),
    );
    expect(text({ a: 1 })).not.toBe(text({ a: "1" }));
    expect(text({ list: [1, 2] })).not.toBe(text({ list: [2, 1] }));
  });

  it("may have its targeting key from its class", () => {
    class User {
      readonly plan = "pro";
      get targetingKey(): string {
        return "ann";
      }
    }
    expect(toContextJson(new User() as never)).toEqual({ targetingKey: "ann", attributes: { plan: "pro" } });
  });

  it("keeps the names that are traps of JavaScript", () => {
    const context = JSON.parse('{"targetingKey":"u","__proto__":{"a":1},"constructor":"c"}');
    expect(JSON.stringify(toContextJson(context))).toBe(
      '{"targetingKey":"u","attributes":{"__proto__":{"a":1},"constructor":"c"}}',
    );
  });
});

describe("a fingerprint", () => {
  // http://www.isthe.com/chongo/src/fnv/test_fnv.c
  it.each([
    ["", "6c62272e07bb014262b821756295c58d"],
    ["a", "d228cb696f1a8caf78912b704e4a8964"],
    ["foobar", "343e1662793c64bf6f0d3597ba446f18"],
  ])("of %j is FNV-1a's", (text, expected) => {
    expect(fingerprint(text)).toBe(expected);
  });
});
