import type { AttributeValue } from "../attribute.js";

/** Compares one attribute value, never a list, with the operator's literals. Never throws. */
export type TestValue = (value: AttributeValue) => boolean;

/** Holds if any of the tests does; made for the usual case of one. */
export function anyOf(tests: readonly TestValue[]): TestValue {
  const [first] = tests;
  if (first !== undefined && tests.length === 1) return first;
  return (value) => {
    for (const test of tests) if (test(value)) return true;
    return false;
  };
}
