import type { AttributeValue } from "../attribute.js";

/** Compares one attribute value, never a list, with the operator's literals. Never throws. */
export type TestValue = (value: AttributeValue) => boolean;

/** A value that an operator compares with, as it stands in the flag. */
export type Literal = string | number | boolean;

/** Compares what was read of an attribute with one literal. Never throws. */
export type TestRead<T> = (read: T) => boolean;

/** An operator that compares attributes with one literal after another. */
export interface LiteralOperator<T> {
  /**
   * What of an attribute is compared, such as its folded text; undefined if it never matches. Done once for all literals,
   * for attributes come from strangers and may be long.
   */
  readonly read: (value: AttributeValue) => T | undefined;
  /** A test for one literal, or what is wrong with it. */
  readonly compile: (literal: Literal) => TestRead<T> | LiteralError;
}

/** What is wrong with a literal. */
export interface LiteralError {
  readonly error: string;
}

/** Holds for attributes of which any of the tests holds. */
export function testRead<T>(read: LiteralOperator<T>["read"], tests: readonly TestRead<T>[]): TestValue {
  const test = anyOf(tests);
  return (value) => {
    const comparable = read(value);
    return comparable !== undefined && test(comparable);
  };
}

/** Holds if any of the tests does; made for the usual case of one. */
function anyOf<T>(tests: readonly TestRead<T>[]): TestRead<T> {
  const [first] = tests;
  if (first !== undefined && tests.length === 1) return first;
  return (read) => {
    for (const test of tests) if (test(read)) return true;
    return false;
  };
}
