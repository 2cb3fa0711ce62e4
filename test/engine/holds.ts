import { expect } from "vitest";
import type { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { ask, flag, match, rule, snapshotOf } from "./build.js";

/** Whether an attribute matches any of some values. */
export function holds(
  attribute: unknown,
  operator: Operator,
  values: readonly (string | number)[],
  ignoreCase = false,
): boolean {
  const answer = answerOf(attribute, operator, values, ignoreCase);
  expect(answer).toBeTypeOf("boolean");
  return answer === true;
}

/** The same, or undefined where a value is refused. */
export function answerOf(
  attribute: unknown,
  operator: Operator,
  values: readonly (string | number)[],
  ignoreCase = false,
): boolean | undefined {
  const snapshot = snapshotOf(flag("x", { rules: [rule(match("attribute", operator, values, { ignoreCase }))] }));
  const { variant, errorMessage } = ask(snapshot, "x", { attribute });
  return errorMessage === undefined ? variant === "b" : undefined;
}
