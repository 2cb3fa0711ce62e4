import type { JsonValue } from "@bufbuild/protobuf";
import { allOf, anyOf, noneOf } from "./logic.js";

/** What holds where a condition does, and none before it. */
export interface Branch {
  /** Asked only where it matters. */
  readonly when: () => JsonValue;
  /** True, false, or a condition that is never null. */
  readonly answer: JsonValue;
}

interface Decision {
  when: JsonValue;
  readonly answer: JsonValue;
}

/** The answer of the first branch whose condition holds, else of the last, as one condition as small as it can be. */
export function decide(branches: readonly Branch[], last: JsonValue): JsonValue {
  const decisions: Decision[] = [];
  let otherwise = last;
  for (const { when, answer } of withoutEnd(branches, last)) {
    const condition = when();
    if (condition === false) continue;
    if (condition === true) {
      otherwise = answer;
      break;
    }
    const before = decisions.at(-1);
    if (before !== undefined && isSame(before.answer, answer)) before.when = anyOf([before.when, condition]);
    else decisions.push({ when: condition, answer });
  }
  const [only, ...others] = withoutEnd(decisions, otherwise);
  if (only === undefined) return otherwise;
  if (others.length === 0 && only.answer === true) return anyOf([only.when, otherwise]);
  if (others.length === 0 && only.answer === false) return allOf([noneOf(only.when), otherwise]);
  return { if: [...[only, ...others].flatMap(({ when, answer }) => [when, answer]), otherwise] };
}

/** What answers as everything after it does need not be asked. */
function withoutEnd<T extends { readonly answer: JsonValue }>(branches: readonly T[], last: JsonValue): readonly T[] {
  let end = branches.length;
  while (end > 0 && isSame(branches[end - 1]?.answer ?? null, last)) end--;
  return branches.slice(0, end);
}

function isSame(one: JsonValue, other: JsonValue): boolean {
  return typeof one === "boolean" && one === other;
}
