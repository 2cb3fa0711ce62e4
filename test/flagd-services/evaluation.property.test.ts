import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as v1 from "../../gen/flagd/evaluation/v1/evaluation_pb.js";
import * as v2 from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import type { EvaluateResponse } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { systemClock } from "../../src/base/index.js";
import { type Context, fromValue } from "../../src/engine/index.js";
import { recordId } from "../../src/store/index.js";
import { anyItems, soundItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { SEED } from "../engine/arbitrary-words.js";
import { value } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { eventually, RESOLVE_METHODS } from "./evaluation-support.js";

let server: TestServer;
beforeAll(async () => {
  // Time stands still, so that two questions about it have one answer.
  const nowMs = Date.now();
  server = await openTestServer({ clock: { ...systemClock, now: () => nowMs } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Values of each type for the variants of generated flags, which are texts. */
const retyped = fc.constantFrom(
  undefined,
  { type: FlagType.BOOLEAN, variants: { a: true, b: false, c: true, off: false } },
  { type: FlagType.NUMBER, variants: { a: 1, b: -2.5, c: 2 ** 60, off: 0 } },
  { type: FlagType.OBJECT, variants: { a: { x: [1, null] }, b: {}, c: { y: { z: "" } }, off: { off: true } } },
);

/** Flags of every type that can be stored, sound and malformed. */
const storedItems = fc
  .tuple(fc.oneof({ weight: 3, arbitrary: soundItems }, anyItems), fc.infiniteStream(retyped))
  .map(([items, types]) =>
    items.flatMap((item) => {
      const { kind } = item;
      const { done, value: other } = types.next();
      if (kind.case === "flag" && kind.value.flag?.type === FlagType.STRING && !done && other !== undefined) {
        const variants = Object.entries(other.variants).map(([name, json]) => [name, value(json)]);
        Object.assign(kind.value.flag, { type: other.type, variants: Object.fromEntries(variants) });
        kind.value.flag.metadata = { team: "web", level: 2, nested: { out: true } };
      }
      return asStored(item);
    }),
  );

/** An item as a store can hold it: with a key that can be encoded, and a flag, not only its settings. */
function asStored(item: WatchItem): WatchItem[] {
  try {
    const stored = fromBinary(WatchItemSchema, toBinary(WatchItemSchema, item));
    const { kind } = stored;
    const key = kind.case === "flag" ? kind.value.flag?.key : kind.case === "segment" ? kind.value.key : "";
    return key ? [stored] : [];
  } catch {
    return [];
  }
}

/** Puts items into the store past all checks of writes, and waits until the server has them. */
async function commit(items: readonly WatchItem[]): Promise<void> {
  const environment = "production";
  const records = items.flatMap(({ kind }): Record[] => {
    if (kind.case === "segment") {
      return [create(RecordSchema, { kind: { case: "segment", value: { ...kind.value, environment } } })];
    }
    const { flag, targeting } = kind.case === "flag" ? kind.value : {};
    if (flag === undefined) return [];
    const record = create(RecordSchema, { kind: { case: "flag", value: flag } });
    if (targeting === undefined) return [record];
    const settings = { ...targeting, flagKey: flag.key, environment };
    return [record, create(RecordSchema, { kind: { case: "targeting", value: settings } })];
  });
  const changes = records.flatMap((after) => {
    const id = recordId(after);
    return id === undefined ? [] : [{ id, after }];
  });
  if (changes.length === 0) return;
  const transaction = { timeMs: 0, author: "test", comment: "", changes, preconditions: [] };
  const result = await server.store.commit(transaction);
  if (result.kind !== "committed") throw new Error(result.kind);
  const revision = async () => (await server.evaluation.bulkEvaluate({})).revision;
  await eventually(revision).toBeGreaterThanOrEqual(result.revision);
}

type Resolve = (request: { flagKey: string; context: JsonObject }) => Promise<Answer>;
type Answer = { value?: unknown; variant?: string; reason: string; metadata?: JsonObject };

/** What flagd's service answers, or the status that it refuses with. */
async function resolve(client: Client<typeof v1.Service | typeof v2.Service>, type: string, request: unknown) {
  const method = client[RESOLVE_METHODS[type as keyof typeof RESOLVE_METHODS]] as unknown as Resolve;
  try {
    const { value, variant, reason, metadata } = await method(request as Parameters<Resolve>[0]);
    return { value, variant, reason, metadata };
  } catch (thrown) {
    if (thrown instanceof ConnectError) return Code[thrown.code];
    throw thrown;
  }
}

const STATUSES: { readonly [code: string]: string } = {
  MALFORMED_FLAG: "DataLoss",
  TARGETING_KEY_MISSING: "FailedPrecondition",
};

/** What it should, by our own answer. */
function expected(response: EvaluateResponse, hasOptionalValues: boolean) {
  const { error, reason, variant } = response;
  if (error !== undefined) return STATUSES[error.code] ?? "Internal";
  const value = response.value && fromValue(response.value);
  const scalars = Object.entries(response.metadata ?? {}).filter(([, member]) => typeof member !== "object");
  const metadata = Object.fromEntries(scalars);
  if (value !== undefined) return { value, variant, reason, metadata };
  if (!hasOptionalValues) return "NotFound";
  const isOff = reason === "DISABLED" || reason === "KILLED";
  return { value: undefined, variant: undefined, reason: isOff ? "DISABLED" : "DEFAULT", metadata };
}

function typeOf(response: EvaluateResponse): string {
  const value = response.value && fromValue(response.value);
  return value === undefined ? "boolean" : typeof value;
}

describe(`generated flags (seed ${SEED})`, () => {
  test("are answered by flagd's services as by Evaluate", async () => {
    const baseUrl = `http://${server.address}`;
    const newer = createClient(v2.Service, createGrpcTransport({ baseUrl }));
    const older = createClient(
      v1.Service,
      createConnectTransport({ httpVersion: "1.1", baseUrl, useBinaryFormat: false }),
    );
    let answered = 0;
    const contexts = fc.array(someContext, { minLength: 2, maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(storedItems, contexts, async (items, subjects) => {
        await commit(items);
        for (const context of subjects as (Context & JsonObject)[]) {
          const { targetingKey = "", ...attributes } = context;
          const subject = { targetingKey, attributes };
          const { evaluations } = await server.evaluation.bulkEvaluate({ context: subject });
          const { flags } = await older.resolveAll({ context });
          for (const evaluation of evaluations) {
            const { flagKey } = evaluation;
            const request = { flagKey, context };
            const type = typeOf(evaluation);
            answered += 1;
            const answers = await Promise.all([resolve(newer, type, request), resolve(older, type, request)]);
            expect({ flagKey, context, answers }).toEqual({
              flagKey,
              context,
              answers: [expected(evaluation, true), expected(evaluation, false)],
            });
            const other = type === "boolean" ? "string" : "boolean";
            if (evaluation.variant !== "") expect(await resolve(newer, other, request)).toBe("InvalidArgument");
            // A key may be `constructor`.
            const inAll = Object.entries(flags).find(([key]) => key === flagKey)?.[1];
            const resolved = { flagKey, value: inAll?.value.value };
            expect(resolved).toEqual({ flagKey, value: evaluation.value && fromValue(evaluation.value) });
          }
        }
      }),
      { numRuns: 12, seed: SEED },
    );
    expect(answered).toBeGreaterThan(30);
  });
});
