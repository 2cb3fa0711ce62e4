import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { type EvaluateResponse, EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Record, RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type EvaluationDetails, type Flags, openMirror, openRemote } from "../../src/client/index.js";
import { type Context, fromValue, type Outcome, type Snapshot } from "../../src/engine/index.js";
import { type RecordChange, recordId } from "../../src/store/index.js";
import { anyItems, soundItems, wildItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { anyKey, SEED, someAttribute, someNumber, someText } from "../engine/arbitrary-words.js";
import { flag, match, rule, snapshotOf } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";

/** An answer, whoever gives it; what is absent is undefined. */
type Answer = Omit<Outcome, "flagKey">;
/** Asks for some flags, for one context. */
type Host = (keys: readonly string[], context: Context) => Promise<readonly Answer[]>;

/** Flags that ask for the time, directly and through others, and for attributes that are traps of JavaScript. */
const ALWAYS_THERE: readonly WatchItem[] = [
  flag("now", { rules: [rule(match("$now", Operator.GREATER, [0]))] }),
  flag("needs-now", { prerequisites: [{ flagKey: "now", variants: ["b"] }] }),
  flag("traps", {
    rules: ["__proto__", "constructor", "device.__proto__", "toJSON"].map((name) =>
      rule(match(name, Operator.EXISTS, []), `has-${name}`),
    ),
  }),
];

/** Items as a store can hold them, sound or not: with a key that can be encoded, and a flag, not only its settings. */
function storable(items: readonly WatchItem[]): WatchItem[] {
  return items.flatMap((item) => {
    try {
      const { kind } = fromBinary(WatchItemSchema, toBinary(WatchItemSchema, item));
      const key = kind.case === "flag" ? kind.value.flag?.key : kind.case === "segment" ? kind.value.key : "";
      return key ? [create(WatchItemSchema, { kind })] : [];
    } catch {
      return [];
    }
  });
}

/** The items as changes of a store, as an older or a newer server may have left them there. */
function changesOf(items: readonly WatchItem[]): RecordChange[] {
  const environment = "production";
  const records = items.flatMap(({ kind }): Record[] => {
    if (kind.case === "segment") {
      return [create(RecordSchema, { kind: { case: "segment", value: { ...kind.value, environment } } })];
    }
    const { flag, targeting } = kind.case === "flag" ? kind.value : {};
    if (flag === undefined) return [];
    const record = create(RecordSchema, { kind: { case: "flag", value: flag } });
    if (targeting === undefined) return [record];
    const value = { ...targeting, flagKey: flag.key, environment };
    return [record, create(RecordSchema, { kind: { case: "targeting", value } })];
  });
  return records.flatMap((after) => {
    const id = recordId(after);
    return id === undefined ? [] : [{ id, after }];
  });
}

function answerOf({ flagKey: _flagKey, ...answer }: Outcome): Answer {
  return answer;
}

function answerOfResponse(response: EvaluateResponse): Answer {
  const { value, variant, reason, ruleId, prerequisiteKey, error, metadata } = response;
  return {
    value: value && fromValue(value),
    variant: variant || undefined,
    reason: reason as Answer["reason"],
    ruleId: ruleId || undefined,
    prerequisiteKey: prerequisiteKey || undefined,
    errorCode: error?.code as Answer["errorCode"],
    errorMessage: error?.message,
    metadata: metadata as Answer["metadata"],
  };
}

function answerOfDetails(details: EvaluationDetails<unknown>): Answer {
  const { flagKey: _flagKey, revision: _revision, value, ...answer } = details;
  return { ...answer, value: details.variant === undefined ? undefined : (value as Answer["value"]) };
}

/** A context as it travels, with the targeting key apart or among the attributes; their names may be `__proto__`. */
type Travelling = (context: Context) => { readonly targetingKey?: string; readonly attributes: JsonObject };

const amongAttributes: Travelling = (context) => ({ attributes: context as JsonObject });
const apart: Travelling = (context) => {
  const { targetingKey, ...attributes } = context;
  if (typeof targetingKey !== "string") return amongAttributes(context);
  return { targetingKey, attributes: attributes as JsonObject };
};

function evaluating(client: Client<typeof EvaluationService>, travelling: Travelling): Host {
  return (keys, context) =>
    Promise.all(
      keys.map(async (flagKey) => answerOfResponse(await client.evaluate({ flagKey, context: travelling(context) }))),
    );
}

/** With the named flags, or with all: those are sorted by key, as the keys are that are asked for. */
function evaluatingInBulk(client: Client<typeof EvaluationService>, isNamed: boolean): Host {
  return async (keys, context) => {
    const flagKeys = isNamed ? [...keys] : [];
    const { evaluations } = await client.bulkEvaluate({ flagKeys, context: apart(context) });
    expect(evaluations.map(({ flagKey }) => flagKey)).toEqual(keys);
    return evaluations.map(answerOfResponse);
  };
}

/** A mirror, or the remote client, asked with a default of each flag's type. */
function asking(flags: Pick<Flags, "details"> | Pick<Remote, "details">, snapshot: Snapshot): Host {
  const defaults = [undefined, false, "", 0, {}] as const;
  return (keys, context) =>
    Promise.all(
      keys.map(async (key) =>
        answerOfDetails(await flags.details<unknown>(key, defaults[snapshot.flag(key)?.type ?? 0] ?? false, context)),
      ),
    );
}

type Remote = Awaited<ReturnType<typeof openRemote>>;

async function withHosts(items: readonly WatchItem[], use: (hosts: ReadonlyMap<string, Host>) => Promise<void>) {
  await using server = await openTestServer();
  await commit(server, items);
  const baseUrl = `http://${server.address}`;
  const over = (useBinaryFormat: boolean) =>
    createClient(EvaluationService, createConnectTransport({ httpVersion: "1.1", baseUrl, useBinaryFormat }));
  const snapshot = snapshotOf(...items);
  await using mirror = await openMirror({ address: server.address });
  await using remote = await openRemote({ address: server.address });
  await use(
    new Map<string, Host>([
      ["Evaluate over gRPC", evaluating(server.evaluation, apart)],
      ["Evaluate over Connect in binary", evaluating(over(true), apart)],
      ["Evaluate over Connect in JSON", evaluating(over(false), amongAttributes)],
      ["BulkEvaluate over gRPC", evaluatingInBulk(server.evaluation, false)],
      ["BulkEvaluate over Connect in JSON", evaluatingInBulk(over(false), true)],
      ["a mirror", asking(mirror, snapshot)],
      ["the remote client", asking(remote, snapshot)],
    ]),
  );
}

/** Puts items into the store past all checks of writes, and waits until the server has them. */
async function commit({ store, evaluation }: TestServer, items: readonly WatchItem[]): Promise<void> {
  const changes = changesOf(items);
  if (changes.length === 0) return;
  const transaction = { timeMs: Date.now(), author: "test", comment: "", changes, preconditions: [] };
  const result = await store.commit(transaction);
  if (result.kind !== "committed") throw new Error(result.kind);
  await expect
    .poll(async () => (await evaluation.bulkEvaluate({})).revision, { interval: 5 })
    .toBeGreaterThanOrEqual(result.revision);
}

const part = fc.oneof(someText, someNumber, fc.boolean(), fc.constant(null));
const member = fc.letrec<{ member: unknown }>((tie) => ({
  member: fc.oneof(
    { maxDepth: 3 },
    part,
    fc.array(tie("member"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("os", "name", "__proto__", "toJSON"), tie("member"), { maxKeys: 3 }),
  ),
})).member;

/** Contexts that JSON can hold: anything else has no form to travel in. */
const jsonContext: fc.Arbitrary<Context> = fc.oneof(
  someContext,
  fc
    .dictionary(
      fc.oneof(
        someAttribute,
        anyKey.filter((key) => key !== "\ud800"),
        fc.constantFrom("device", "$now"),
      ),
      member,
      { maxKeys: 6 },
    )
    .map((context) => JSON.parse(JSON.stringify(context)) as Context),
);

describe(`generated flags (seed ${SEED})`, () => {
  test.each([
    ["sound", soundItems],
    ["of every operator", wildItems],
    ["sound or malformed", anyItems],
  ] as const)("that are %s are answered alike by everyone who can be asked", async (_name, generated) => {
    let answered = 0;
    const contexts = fc.array(jsonContext, { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(generated, contexts, async (made, subjects) => {
        const items = storable([...made, ...ALWAYS_THERE]);
        const snapshot = snapshotOf(...items);
        const keys = snapshot.flags().map(({ key }) => key);
        await withHosts(items, async (hosts) => {
          for (const context of subjects) {
            const expected = snapshot.flags().map(({ select }) => answerOf(select(context, Date.now())));
            for (const [name, ask] of hosts) {
              const answers = await ask(keys, context);
              expect({ name, context, answers }).toEqual({ name, context, answers: expected });
              answered += answers.length;
            }
          }
        });
      }),
      { numRuns: 12, seed: SEED },
    );
    expect(answered).toBeGreaterThan(100);
  });
});
