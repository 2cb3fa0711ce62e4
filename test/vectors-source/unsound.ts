import { type Draft, type FlagParts, failedWith } from "./draft.js";
import type { Answer, Context, JsonObject } from "./vector-file.js";

export const malformedFlag = failedWith("MALFORMED_FLAG");
export const contexts: readonly Context[] = [{}, { targetingKey: "u1", a: "x" }];

/** Adds a flag that a server must refuse, and that answers this wherever it is met all the same. */
export function unsound(
  draft: Draft,
  name: string,
  targeting: JsonObject,
  answer: Answer = malformedFlag,
  parts?: FlagParts,
) {
  const key = draft.flag(name, targeting, parts);
  draft.refuseFlag(key);
  for (const context of contexts) draft.answers(key, context, answer);
  return key;
}
