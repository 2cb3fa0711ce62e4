import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { SEED } from "../engine/arbitrary-words.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { inSegment, match, revisionOf, rule, serve, stringFlag, text } from "./admin-support.js";

const keys = ["a", "b", "c"];
const environments = ["production", "staging"];
const variants = ["x", "y", "z"];
const contexts = ["u1", "u2"].map((targetingKey) => ({ targetingKey, attributes: { plan: targetingKey } }));

type Write = (server: TestServer) => Promise<unknown>;

const key = fc.constantFrom(...keys);
const environment = fc.constantFrom(...environments);
const variant = fc.constantFrom(...variants);
const included = fc.subarray(["u1", "u2", "u3"]);
const someSettings = fc.record({
  enabled: fc.boolean(),
  offVariant: variant,
  default: variant.map(serve),
  rules: fc.subarray([
    rule(inSegment("s"), "y", "in-segment"),
    rule(match("plan", Operator.IN, text("u1")), "z", "plan"),
    {
      id: "split",
      condition: { kind: { case: "all" as const, value: {} } },
      serve: {
        kind: {
          case: "rollout" as const,
          value: { shares: variants.map((name, place) => ({ variant: name, weight: place + 1 })) },
        },
      },
    },
  ]),
});

/** Writes of all kinds; many are refused, such as one of a flag that is not there. */
const someWrite: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 2,
    arbitrary: key.map(
      (k): Write =>
        ({ admin }) =>
          admin.createFlag({ flag: stringFlag(k, variants), force: true }),
    ),
  },
  key.map(
    (k): Write =>
      ({ admin }) =>
        admin.deleteFlag({ key: k }),
  ),
  fc.tuple(key, fc.string({ maxLength: 3 })).map(
    ([k, description]): Write =>
      ({ admin }) =>
        admin.updateFlag({ flag: { key: k, description }, updateMask: { paths: ["description"] } }),
  ),
  {
    weight: 6,
    arbitrary: fc.tuple(key, environment, someSettings).map(
      ([flagKey, name, settings]): Write =>
        ({ admin }) =>
          admin.updateTargeting({ environment: name, targeting: { flagKey, ...settings } }),
    ),
  },
  fc.tuple(environment, included).map(
    ([name, list]): Write =>
      ({ admin }) =>
        admin.createSegment({ environment: name, segment: { key: "s", included: list } }),
  ),
  fc.tuple(environment, included).map(
    ([name, list]): Write =>
      ({ admin }) =>
        admin.updateSegment({ environment: name, segment: { key: "s", included: list } }),
  ),
  environment.map(
    (name): Write =>
      ({ admin }) =>
        admin.deleteSegment({ environment: name, key: "s" }),
  ),
  fc.constant<Write>(({ admin }) =>
    admin.createEnvironment({ environment: { name: "staging" }, copyFrom: "production" }),
  ),
  fc.constant<Write>(({ admin }) => admin.deleteEnvironment({ name: "staging" })),
  fc.tuple(key, environment).map(
    ([k, name]): Write =>
      ({ admin }) =>
        admin.killFlags({ environment: name, flagKeys: [k], reason: "incident" }),
  ),
  fc.tuple(key, environment).map(
    ([k, name]): Write =>
      ({ admin }) =>
        admin.reviveFlags({ environment: name, flagKeys: [k] }),
  ),
);

/** What every environment answers for every flag and context. */
async function answersOf({ evaluation }: TestServer, atRevision?: bigint): Promise<JsonValue[]> {
  const questions = environments.flatMap((name) =>
    keys.flatMap((flagKey) => contexts.map((context) => ({ environment: name, flagKey, context }))),
  );
  return Promise.all(
    questions.map(async (question): Promise<JsonValue> => {
      const request = { ...question, ...(atRevision !== undefined && { atRevision }) };
      try {
        return toJson(EvaluateResponseSchema, await evaluation.evaluate(request));
      } catch (error) {
        return ConnectError.from(error).code;
      }
    }),
  );
}

/** All flags, settings and segments of some environments, but for who changed them when, and for kills. */
async function stateOf({ admin }: TestServer): Promise<Map<string, JsonValue>> {
  const state = new Map<string, JsonValue>();
  for await (const { file } of admin.export({})) {
    if (file === undefined) continue;
    const json = toJson(FlagFileSchema, file) as { readonly [kind: string]: JsonObject[] };
    for (const [kind, items] of Object.entries(json)) {
      for (const item of items) {
        const { createdAt, createdBy, changedAt, changedBy, revision, killed, ...rest } = item;
        state.set(`${kind} ${item.environment ?? ""} ${item.key ?? item.flagKey ?? item.name}`, rest);
      }
    }
  }
  return state;
}

/** What is in both environments that are there before and after. */
function shared(state: ReadonlyMap<string, JsonValue>, others: ReadonlyMap<string, JsonValue>): JsonObject {
  const isShared = (id: string) =>
    !id.includes(" staging") || [state, others].every((one) => one.has("environments  staging"));
  return Object.fromEntries([...state].filter(([id]) => isShared(id) && !id.startsWith("environments")));
}

async function inTestServer(body: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await openTestServer();
  try {
    await body(server);
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

const options = { seed: SEED, numRuns: 5, endOnFailure: true };
const someWrites = fc.array(someWrite, { minLength: 40, maxLength: 40 });

it("an answer of the past is the answer that was given then, and a rollback leads to the state of then", async () => {
  await fc.assert(
    fc.asyncProperty(someWrites, fc.infiniteStream(fc.nat()), (writes, numbers) =>
      inTestServer(async (server) => {
        const given: JsonValue[][] = [];
        const states: Map<string, JsonValue>[] = [];
        for (const write of writes) {
          await write(server).catch(() => undefined);
          const revision = Number(await revisionOf(server));
          given[revision] = await answersOf(server);
          states[revision] = await stateOf(server);
        }
        const known = [...given.keys()].filter((revision) => given[revision] !== undefined);
        for (const revision of known) expect(await answersOf(server, BigInt(revision))).toEqual(given[revision]);

        const [number = 0] = numbers;
        const toRevision = known[number % known.length] ?? 1;
        const before = await stateOf(server);
        const headRevision = await revisionOf(server);
        const { revision } = await server.admin.rollback({ toRevision: BigInt(toRevision) });
        const after = await stateOf(server);
        const then = states[toRevision] ?? new Map();
        expect(shared(after, then)).toEqual(shared(then, after));
        expect(await answersOf(server, BigInt(toRevision))).toEqual(given[toRevision]);
        if (revision > headRevision) await server.admin.rollback({ toRevision: headRevision });
        expect(shared(await stateOf(server), before)).toEqual(shared(before, before));
      }),
    ),
    options,
  );
}, 60_000);
