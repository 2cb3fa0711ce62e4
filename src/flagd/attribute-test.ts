import { create } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import { type Formula, leaf } from "./formula.js";

/** What a match compares with. */
export type Literal = string | number | boolean;

/** The attribute that is the targeting key. It is text and not empty, or it is missing. */
export const TARGETING_KEY = "targetingKey";

/** A pattern that any text but the empty one matches. */
export const SOME_TEXT = "(?s).";

export function match(attribute: string, operator: Operator, values: readonly Literal[]): Formula {
  const value = { attribute, operator, values: values.map(toLiteralValue) };
  return leaf(create(ConditionSchema, { kind: { case: "match", value } }));
}

export function exists(attribute: string): Formula {
  return match(attribute, Operator.EXISTS, []);
}

export function isIn(attribute: string, values: readonly Literal[]): Formula {
  return match(attribute, Operator.IN, values);
}

/**
 * Whether an attribute can be hashed: it is text, a boolean or an integer of at most 2^53 - 1 in size, and above all no
 * list. A share of everything holds exactly then.
 */
export function isHashable(attribute: string): Formula {
  const value = { weight: 1, totalWeight: 1, bucketBy: toBucketBy(attribute) };
  return leaf(create(ConditionSchema, { kind: { case: "rollout", value } }));
}

/** What is hashed: the salt (undefined: the flag's key) and the attribute. */
export interface HashInput {
  readonly attribute: string;
  readonly salt: string | undefined;
}

/** Whether the bucket is one of `weight` buckets from `start` on. */
export function isInShare(input: HashInput, start: number, weight: number, totalWeight: number): Formula {
  const value = { start, weight, totalWeight, ...toBucketing(input) };
  return leaf(create(ConditionSchema, { kind: { case: "rollout", value } }));
}

/** What Rollout and RolloutCondition have in common. */
export function toBucketing({ attribute, salt }: HashInput) {
  const bucketing = { bucketBy: toBucketBy(attribute), algorithm: RolloutAlgorithm.MURMUR3_32 };
  return salt === undefined ? bucketing : { ...bucketing, salt };
}

function toBucketBy(attribute: string): string {
  return attribute === TARGETING_KEY ? "" : attribute;
}

function toLiteralValue(literal: Literal): Value {
  switch (typeof literal) {
    case "string":
      return create(ValueSchema, { kind: { case: "stringValue", value: literal } });
    case "number":
      return create(ValueSchema, { kind: { case: "numberValue", value: literal } });
    case "boolean":
      return create(ValueSchema, { kind: { case: "boolValue", value: literal } });
  }
}
