import { isPlainName } from "./attribute.js";
import type { CompiledCondition, TestContext } from "./compiled-condition.js";
import { intern } from "./intern.js";

/** A condition that looks one attribute of the context up among values, and does nothing else. */
export interface LookUp {
  readonly attribute: string;
  readonly members: ReadonlySet<unknown>;
}

/** A condition as a look-up, if it is one. `all` and `any` of one condition are that condition. */
export function lookUpOf(condition: CompiledCondition): LookUp | undefined {
  if (condition.kind === "all" || condition.kind === "any") {
    const [only] = condition.conditions;
    return only !== undefined && condition.conditions.length === 1 ? lookUpOf(only) : undefined;
  }
  if (condition.kind !== "match" || condition.members === undefined) return undefined;
  const attribute = intern(condition.match.attribute);
  return isPlainName(attribute) ? { attribute, members: condition.members } : undefined;
}

/**
 * Holds if both look-ups do, in one step. `inOrder` decides where an attribute is a list. An inherited value matches no more
 * than a missing one.
 */
export function testBoth(first: LookUp, second: LookUp, inOrder: TestContext): TestContext {
  const { attribute, members } = first;
  const { attribute: otherAttribute, members: otherMembers } = second;
  return (context, now) => {
    const value = context[attribute];
    if (typeof value === "object") return inOrder(context, now);
    if (!members.has(value)) return false;
    const other = context[otherAttribute];
    if (typeof other === "object") return inOrder(context, now);
    return otherMembers.has(other) && Object.hasOwn(context, attribute) && Object.hasOwn(context, otherAttribute);
  };
}
