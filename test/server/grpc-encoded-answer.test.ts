import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { BulkEvaluateResponseSchema, EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { toFrame } from "../../src/base/index.js";
import type { JsonValue, Outcome } from "../../src/engine/index.js";
import { BulkAnswer, EncodedResponse, OutcomeAnswer } from "../../src/server/encoded-answer.js";
import type { Encoded } from "../../src/server/handlers.js";
import { runs } from "../engine/arbitrary-words.js";

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const outcomes: fc.Arbitrary<Outcome> = fc.record({
  flagKey: text,
  value: optional(fc.jsonValue() as fc.Arbitrary<JsonValue>),
  variant: optional(text),
  reason: fc.constantFrom("STATIC" as const, "SPLIT" as const, "ERROR" as const),
  ruleId: optional(text),
  prerequisiteKey: optional(text),
  errorCode: optional(fc.constant("MALFORMED_FLAG" as const)),
  errorMessage: optional(text),
  metadata: optional(fc.dictionary(text, fc.integer()) as fc.Arbitrary<JsonValue>),
});
const revisions = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const unchanged = ({ bytes, frame }: Encoded<unknown>) => expect(frame).toEqual(toFrame(bytes));

it("an outcome's bytes are its message, at every revision", () => {
  const property = fc.property(outcomes, revisions, revisions, (outcome, first, second) => {
    const answer = OutcomeAnswer.of(outcome, first);
    for (const [given, revision] of [
      [answer, first],
      [answer.at(second), second],
      [answer.at(second).at(first), first],
    ] as const) {
      expect(given.message.revision).toBe(revision);
      expect(fromBinary(EvaluateResponseSchema, given.bytes)).toEqual(
        fromBinary(EvaluateResponseSchema, toBinary(EvaluateResponseSchema, given.message)),
      );
      expect(given.sizeBytes).toBe(given.bytes.byteLength);
      unchanged(given);
    }
    expect(answer.at(second).at(first).bytes).toEqual(answer.bytes);
  });
  fc.assert(property, runs(500));
});

it("the bytes of many answers are their message", () => {
  const property = fc.property(fc.array(outcomes, { maxLength: 5 }), revisions, (list, revision) => {
    const unknown = create(EvaluateResponseSchema, { flagKey: "unknown", reason: "ERROR", revision });
    const parts = [...list.map((outcome) => OutcomeAnswer.of(outcome, revision)), new EncodedResponse(unknown)];
    const bulk = new BulkAnswer(parts, revision);
    expect(fromBinary(BulkEvaluateResponseSchema, bulk.bytes)).toEqual(
      fromBinary(BulkEvaluateResponseSchema, toBinary(BulkEvaluateResponseSchema, bulk.message)),
    );
    expect(bulk.message.evaluations.map(({ flagKey }) => flagKey)).toEqual([
      ...list.map(({ flagKey }) => flagKey),
      "unknown",
    ]);
    unchanged(bulk);
  });
  fc.assert(property, runs(300));
});
