import type { AttributeValue } from "../attribute.js";

/** Compares one attribute value, never a list, with the operator's literals. Never throws. */
export type TestValue = (value: AttributeValue) => boolean;

/** Whether an operator compares values like this one, never a list, with anything. Never throws. */
export type CompareValue = (value: AttributeValue) => boolean;

/** An operator with its literals. */
export interface CompiledOperator {
  /** Undefined where it is enough that there is a value. */
  readonly test: TestValue | undefined;
  readonly compares: CompareValue;
  /** Set where `test` is membership in them and nothing else. */
  readonly members?: ReadonlySet<unknown>;
  /** Set where `test` holds for strings alone, and for those that this holds for. */
  readonly testText?: TestRead<string>;
}

/** A value that an operator compares with, as it stands in the flag. */
export type Literal = string | number | boolean;

/** Compares what was read of an attribute with one literal. Never throws. */
export type TestRead<T> = (read: T) => boolean;

/** Whether an attribute that compares so with a literal (negative: below it) matches. */
export type AcceptOrder = (order: number) => boolean;

/**
 * What of an attribute is compared, such as its folded text; undefined if it never matches. Done once for all literals, for
 * attributes come from strangers and may be long. Where it would have to be an object it is one that the next call fills
 * again, or stands in one besides, so that evaluating allocates nothing: compare it before anything else is read.
 */
export type ReadOperand<T> = (value: AttributeValue) => T | undefined;

/** An operator that compares attributes with one literal after another. */
export interface LiteralOperator<T> {
  /** Joins the tests of all literals. */
  readonly join: (tests: readonly TestRead<T>[]) => CompiledOperator;
  /** A test for one literal, or what is wrong with it. */
  readonly compile: (literal: Literal) => TestRead<T> | LiteralError;
}

/** What is wrong with a literal. */
export interface LiteralError {
  readonly error: string;
}

/** Holds for attributes of which any of the tests holds. */
export function testRead<T>(read: ReadOperand<T>, tests: readonly TestRead<T>[]): CompiledOperator {
  const test = anyOf(tests);
  return {
    test: (value) => {
      const comparable = read(value);
      return comparable !== undefined && test(comparable);
    },
    compares: (value) => read(value) !== undefined,
  };
}

/** The same for strings that are compared as they are. */
export function testText(tests: readonly TestRead<string>[]): CompiledOperator {
  const test = anyOf(tests);
  return {
    test: (value) => typeof value === "string" && test(value),
    testText: test,
    compares: (value) => typeof value === "string",
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
