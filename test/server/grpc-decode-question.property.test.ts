import { isDeepStrictEqual } from "node:util";
import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { EvaluateRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { toContext } from "../../src/server/context.js";
import { decodeQuestion } from "../../src/server/decode-question.js";
import { contractLimits } from "../../src/server/limits.js";
import { runs } from "../engine/arbitrary-words.js";

/** Where it reads a question, it must be the one that the message asks; where it reads none, nothing is claimed. */
function expectAgreement(bytes: Uint8Array): boolean {
  const question = decodeQuestion(bytes);
  if (question === undefined) return false;
  const { environment, flagKey, context, ...others } = fromBinary(EvaluateRequestSchema, bytes);
  expect(others.$unknown).toBeUndefined();
  const expected = { environment, flagKey, context: toContext(context) };
  // Not by the test's own equality, which takes a member `constructor` for a class.
  if (!isDeepStrictEqual(question, expected)) expect(question).toEqual(expected);
  expect(isDeepStrictEqual(question, expected)).toBe(true);
  expect(Object.keys(question.context)).toEqual(Object.keys(toContext(context)));
  return true;
}

const text = fc.oneof(fc.string({ maxLength: 30 }), fc.string({ unit: "grapheme", maxLength: 30 }));
const key = fc.oneof(text, fc.constantFrom("targetingKey", "constructor", "__proto__", "toString", "1", ""));
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(key, tie("value"), { maxKeys: 5 }),
  ),
}));
const requests = fc
  .record({
    environment: text,
    flagKey: text,
    targetingKey: text,
    attributes: fc.dictionary(key, json, { maxKeys: 6 }),
  })
  .map(({ environment, flagKey, targetingKey, attributes }) =>
    create(EvaluateRequestSchema, {
      environment,
      flagKey,
      context: { targetingKey, attributes: attributes as JsonObject },
    }),
  );

it("every request that a client writes is read, as the message says it", () => {
  const property = fc.property(requests, (request) => {
    const isRead = expectAgreement(toBinary(EvaluateRequestSchema, request));
    const isPlain = !/__proto__|\ufffd/.test(JSON.stringify(request));
    if (isPlain) expect(isRead).toBe(true);
  });
  fc.assert(property, runs(2_000));
});

it("bytes that were damaged are read as the message says it, or left to it", () => {
  const change = fc.tuple(fc.nat(200), fc.nat(255));
  const property = fc.property(
    requests,
    fc.array(change, { minLength: 1, maxLength: 3 }),
    fc.nat(400),
    (request, changes, cut) => {
      const bytes = toBinary(EvaluateRequestSchema, request).slice(0, 400 - cut);
      for (const [at, byte] of changes) if (bytes.byteLength > 0) bytes[at % bytes.byteLength] = byte;
      expectAgreement(bytes);
    },
  );
  fc.assert(property, runs(5_000));
});

/** Fields of any numbers and wire types, nested as if all of them were messages; many are those of a request. */
const { bytes: anyFields } = fc.letrec<{ bytes: Uint8Array; field: Uint8Array }>((tie) => ({
  bytes: fc.array(tie("field"), { maxLength: 4 }).map((fields) => Buffer.concat(fields)),
  field: fc.oneof(
    { depthSize: "large" },
    fc
      .tuple(fc.integer({ min: 1, max: 6 }), text)
      .map(([number, value]) => new BinaryWriter().tag(number, WireType.LengthDelimited).string(value).finish()),
    fc
      .tuple(fc.integer({ min: 1, max: 7 }), fc.nat(300))
      .map(([number, value]) => new BinaryWriter().tag(number, WireType.Varint).uint32(value).finish()),
    fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.double())
      .map(([number, value]) => new BinaryWriter().tag(number, WireType.Bit64).double(value).finish()),
    fc
      .tuple(fc.integer({ min: 1, max: 6 }), tie("bytes"))
      .map(([number, value]) => new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(value).finish()),
    fc
      .tuple(fc.integer({ min: 1, max: 6 }), tie("bytes"), fc.integer({ min: 1, max: 6 }))
      .map(([number, value, last]) =>
        new BinaryWriter().tag(number, WireType.StartGroup).raw(value).tag(last, WireType.EndGroup).finish(),
      ),
  ),
}));
/** Such fields in the places of a request's context, entries and values. */
const nested = fc
  .tuple(anyFields, fc.array(fc.constantFrom(1, 2, 3, 5, 6), { maxLength: 6 }))
  .map(([inner, path]) =>
    path.reduce<Uint8Array>(
      (bytes, number) => new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish(),
      inner,
    ),
  );

it("fields that are unknown, double, missing or of another wire type are read as the message says it, or left to it", () => {
  const property = fc.property(fc.array(fc.oneof(anyFields, nested), { maxLength: 3 }), (parts) => {
    expectAgreement(Buffer.concat(parts));
  });
  fc.assert(property, runs(10_000));
});

it("arbitrary bytes are read as the message says it, or left to it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void expectAgreement(bytes)),
    runs(10_000),
  );
});

const withAttribute = (value: unknown) =>
  toBinary(
    EvaluateRequestSchema,
    create(EvaluateRequestSchema, { context: { attributes: { a: value } as JsonObject } }),
  );
const nestedIn = (levels: number, wrap: (value: unknown) => unknown) => {
  let value: unknown = "leaf";
  for (let level = 0; level < levels; level += 1) value = wrap(value);
  return value;
};

it.each([
  ["lists within lists", contractLimits.contextDepth - 1, (levels: number) => nestedIn(levels, (value) => [value])],
  [
    "objects within objects",
    contractLimits.contextDepth - 1,
    (levels: number) => nestedIn(levels, (value) => ({ value })),
  ],
  ["elements of a list", contractLimits.contextListElements, (count: number) => Array.from({ length: count }, () => 1)],
  ["characters of a text", contractLimits.contextTextLength, (length: number) => "x".repeat(length)],
])("as many %s as a context may hold are read, and more are left to the message", (_, limit, make) => {
  expect(expectAgreement(withAttribute(make(limit)))).toBe(true);
  expect(decodeQuestion(withAttribute(make(limit + 1)))).toBeUndefined();
});

it("a list of texts that are too long together is left to the message", () => {
  const half = "x".repeat(contractLimits.contextTextLength / 2 - 10);
  expect(expectAgreement(withAttribute([half, half]))).toBe(true);
  expect(decodeQuestion(withAttribute([half, half, half]))).toBeUndefined();
});

const bytesField = (number: number, ...parts: readonly Uint8Array[]) =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(Buffer.concat(parts)).finish();
const flagKey = bytesField(2, Buffer.from("f"));
const name = bytesField(1, Buffer.from("a"));
const text1 = bytesField(3, Buffer.from("1"));
const value = bytesField(2, text1);
const attributes = bytesField(2, bytesField(1, name, value));
const inList = (...elements: readonly Uint8Array[]) =>
  bytesField(3, bytesField(2, bytesField(1, name, bytesField(2, bytesField(6, ...elements)))));

it.each([
  ["a field that it does not know", [flagKey, bytesField(15)]],
  ["a field twice", [flagKey, flagKey]],
  ["a context twice", [bytesField(3), bytesField(3)]],
  ["attributes twice", [bytesField(3, attributes, attributes)]],
  ["a field of a context that it does not know", [bytesField(3, bytesField(15))]],
  ["an entry whose value comes first", [bytesField(3, bytesField(2, bytesField(1, value, name)))]],
  ["an entry without a value", [bytesField(3, bytesField(2, bytesField(1, name)))]],
  ["an entry without a key", [bytesField(3, bytesField(2, bytesField(1, value)))]],
  ["an entry with two values", [bytesField(3, bytesField(2, bytesField(1, name, value, value)))]],
  ["a value of no kind", [bytesField(3, bytesField(2, bytesField(1, name, bytesField(2))))]],
  ["a value of two kinds", [bytesField(3, bytesField(2, bytesField(1, name, bytesField(2, text1, text1))))]],
  ["a listed value with another field", [inList(bytesField(1, text1, bytesField(1, text1)))]],
])("a request with %s is left to the message", (_, fields) => {
  expect(expectAgreement(Buffer.concat([flagKey, bytesField(3, attributes)]))).toBe(true);
  expect(decodeQuestion(Buffer.concat(fields))).toBeUndefined();
});
