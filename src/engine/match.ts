import { isPlainName, type ReadAttribute, toAttributeValue } from "./attribute.js";
import type { TestContext } from "./compiled-condition.js";
import type { CompiledOperator, TestValue } from "./operators/test-value.js";

/**
 * Compiles whether an operator holds for an attribute: for its value or, of a list, for any element.
 *
 * Most attributes are plain names and hold a string, number or boolean. For these the operator is asked before it is made
 * sure that the value is the context's own: most tests fail, and an inherited value matches no more than a missing one.
 */
export function testAttribute(name: string, read: ReadAttribute, operator: CompiledOperator): TestContext {
  const { test, testText, members } = operator;
  if (test === undefined) return (context, now) => read(context, now) !== undefined;
  const testAny = testAnyValue(read, test);
  if (!isPlainName(name)) return testAny;
  if (members !== undefined) return testMembership(name, members, testAny);
  if (testText !== undefined) {
    return (context, now) => {
      const value = context[name];
      if (typeof value === "string") return testText(value) && Object.hasOwn(context, name);
      return typeof value === "object" && testAny(context, now);
    };
  }
  return (context, now) => {
    const value = context[name];
    switch (typeof value) {
      case "string":
      case "boolean":
        return test(value) && Object.hasOwn(context, name);
      case "number":
        return Number.isFinite(value) && test(value) && Object.hasOwn(context, name);
      case "undefined":
        return false;
      default:
        return testAny(context, now);
    }
  };
}

/** One value is compared, not looked up. */
function testMembership(name: string, members: ReadonlySet<unknown>, testAny: TestContext): TestContext {
  if (members.size === 1) {
    const [only] = members;
    return (context, now) => {
      const value = context[name];
      if (value === only) return Object.hasOwn(context, name);
      return typeof value === "object" && testAny(context, now);
    };
  }
  return (context, now) => {
    const value = context[name];
    if (typeof value === "object") return testAny(context, now);
    return members.has(value) && Object.hasOwn(context, name);
  };
}

function testAnyValue(read: ReadAttribute, test: TestValue): TestContext {
  return (context, now) => {
    const value = read(context, now);
    if (value === undefined) return false;
    if (!Array.isArray(value)) return test(value);
    for (const element of value) {
      const comparable = toAttributeValue(element);
      if (comparable !== undefined && test(comparable)) return true;
    }
    return false;
  };
}
