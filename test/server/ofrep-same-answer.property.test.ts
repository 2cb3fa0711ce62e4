import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Context, fromValue } from "../../src/engine/index.js";
import { toFlatMetadata, toResolutionErrorCode } from "../../src/resolution/index.js";
import { soundItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { SEED } from "../engine/arbitrary-words.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { ask, askFlag, BULK, commitItems, someFlags } from "./ofrep-support.js";

/** What OFREP should say, by what Evaluate says. */
async function expectedAnswers({ evaluation }: TestServer, context: Context): Promise<readonly object[]> {
  const { evaluations } = await evaluation.bulkEvaluate({ context: { attributes: context as JsonObject } });
  return evaluations.map(({ flagKey: key, value, variant, reason, error, metadata }) => {
    if (error !== undefined) {
      return { key, errorCode: toResolutionErrorCode(error.code), errorDetails: error.message };
    }
    const isOurs = reason === "KILLED" || reason === "PREREQUISITE_FAILED";
    const flat = { ...toFlatMetadata(metadata), ...(isOurs && { "flagwire.reason": reason }) };
    return {
      key,
      reason: isOurs ? "DISABLED" : reason,
      ...(value && { value: fromValue(value), variant }),
      ...(Object.keys(flat).length > 0 && { metadata: flat }),
    };
  });
}

test(`generated flags (seed ${SEED}) are answered as Evaluate answers them`, async () => {
  let answered = 0;
  const contexts = fc.array(someContext, { minLength: 5, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(soundItems, contexts, async (items, subjects) => {
      await using server = await openTestServer();
      await commitItems(server, [...someFlags, ...items]);
      for (const made of subjects) {
        const context = JSON.parse(JSON.stringify(made)) as Context;
        const expected = await expectedAnswers(server, context);
        const { body } = await ask(server, BULK, context);
        expect((body as { readonly flags: unknown }).flags).toEqual(expected);
        for (const answer of expected as readonly { readonly key: string }[]) {
          expect((await askFlag(server, answer.key, context)).body).toEqual(answer);
        }
        answered += expected.length;
      }
    }),
    { numRuns: 8, seed: SEED },
  );
  expect(answered).toBeGreaterThan(100);
});

/** The members that OFREP's description gives each answer, and those that it must have. */
const SUCCESS = { allowed: ["key", "value", "reason", "variant", "metadata"], required: ["key", "reason"] };
const FAILURE = { allowed: ["key", "errorCode", "errorDetails", "metadata"], required: ["key", "errorCode"] };
/** DEFAULT is OpenFeature's, though the description lacks it; some clients refuse what is neither's. */
const REASONS = ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN", "DEFAULT"];
const CODES = ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"];

test("answers have the members and the words of OFREP's description, or OpenFeature's", async () => {
  await using server = await openTestServer();
  await commitItems(server, someFlags);
  const { body } = await ask(server, BULK);
  const { flags } = body as { readonly flags: readonly Readonly<Record<string, unknown>>[] };
  expect(flags).toHaveLength(someFlags.length);
  for (const answer of flags) {
    const { allowed, required } = "errorCode" in answer ? FAILURE : SUCCESS;
    expect(allowed).toEqual(expect.arrayContaining(Object.keys(answer)));
    expect(Object.keys(answer)).toEqual(expect.arrayContaining(required));
    expect("errorCode" in answer ? CODES : REASONS).toContain(answer.errorCode ?? answer.reason);
    for (const member of Object.values(answer.metadata ?? {})) expect(typeof member).toMatch(/string|number|boolean/);
  }
});
