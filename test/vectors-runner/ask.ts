import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type EvaluateResponse,
  EvaluateResponseSchema,
  type EvaluationService,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { isConnectionLost } from "../../src/cli/remote.js";
import type { Answer, Context, VectorCase } from "../vectors-source/vector-file.js";
import { flagNotFound } from "./read-vectors.js";

/** What came of a question: an answer, or that the call was refused. */
export type Got = Answer | { readonly refusal: string };

/** One way to ask for flags. */
export interface Way {
  readonly name: string;
  /** One answer for each case, in order. Rejects where the server cannot be reached. */
  ask(cases: readonly VectorCase[]): Promise<readonly Got[]>;
}

/** Posts JSON to a method of EvaluationService over HTTP/1.1. */
export type PostJson = (method: string, body: object) => Promise<{ readonly status: number; readonly body: unknown }>;

/** Calls that are under way at the same time. */
const PARALLEL = 64;
/** Flags of one BulkEvaluate. */
const BULK_KEYS = 1_000;

/** Evaluate, by any transport. */
export function evaluateWay(name: string, client: Client<typeof EvaluationService>, environment: string): Way {
  return {
    name,
    ask: (cases) =>
      inParallel(cases, async ({ flagKey, context }) => {
        try {
          return toAnswer(await client.evaluate({ environment, flagKey, context: toWire(context) }));
        } catch (error) {
          return toGot(error);
        }
      }),
  };
}

/** BulkEvaluate, by any transport: the flags that are asked for the same context in one call. */
export function bulkWay(name: string, client: Client<typeof EvaluationService>, environment: string): Way {
  return bulk(name, async (flagKeys, context) => {
    const { evaluations } = await client.bulkEvaluate({
      environment,
      flagKeys: [...flagKeys],
      context: toWire(context),
    });
    return evaluations.map(toAnswer);
  });
}

/** Evaluate with JSON over HTTP/1.1. */
export function jsonWay(name: string, post: PostJson, environment: string): Way {
  return {
    name,
    ask: (cases) =>
      inParallel(cases, async ({ flagKey, context }) => {
        const { status, body } = await post("Evaluate", { environment, flagKey, context: toWire(context) });
        if (status === 200) return fromJsonAnswer(body as JsonObject);
        const isUnknown = status === 404 && (body as JsonObject | undefined)?.code === "not_found";
        return isUnknown ? flagNotFound : { refusal: `HTTP ${status}: ${JSON.stringify(body)}` };
      }),
  };
}

/** BulkEvaluate with JSON over HTTP/1.1. */
export function jsonBulkWay(name: string, post: PostJson, environment: string): Way {
  return bulk(name, async (flagKeys, context) => {
    const { status, body } = await post("BulkEvaluate", { environment, flagKeys, context: toWire(context) });
    if (status !== 200) throw new ConnectError(`HTTP ${status}: ${JSON.stringify(body)}`, Code.InvalidArgument);
    return (body as { evaluations: JsonObject[] }).evaluations.map(fromJsonAnswer);
  });
}

/** The targeting key travels in a field of its own where it is a string, and among the attributes where it is not. */
export function toWire(context: Context): { targetingKey: string; attributes: JsonObject } {
  const { targetingKey, ...attributes } = context;
  if (typeof targetingKey === "string") return { targetingKey, attributes: attributes as JsonObject };
  return { targetingKey: "", attributes: context as JsonObject };
}

/** Does something with every item, some at a time, and keeps their order. Begins nothing more once one has failed. */
export async function inParallel<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const entries = items.entries();
  let failed = false;
  const worker = async () => {
    for (const [index, item] of entries) {
      if (failed) return;
      try {
        results[index] = await act(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return results;
}

function bulk(
  name: string,
  evaluate: (flagKeys: readonly string[], context: Context) => Promise<readonly Answer[]>,
): Way {
  return {
    name,
    async ask(cases) {
      const got = new Map<VectorCase, Got>();
      await inParallel(groupsOf(cases), async (group) => {
        const keys = [...new Set(group.map(({ flagKey }) => flagKey))];
        const context = group[0]?.context ?? {};
        try {
          const answers = await evaluate(keys, context);
          for (const vector of group)
            got.set(vector, answers[keys.indexOf(vector.flagKey)] ?? { refusal: "no answer" });
        } catch (error) {
          for (const vector of group) got.set(vector, toGot(error));
        }
      });
      return cases.map((vector) => got.get(vector) ?? { refusal: "not asked" });
    },
  };
}

function groupsOf(cases: readonly VectorCase[]): VectorCase[][] {
  const groups = new Map<string, VectorCase[]>();
  for (const vector of cases) {
    const text = JSON.stringify(vector.context);
    const group = groups.get(text);
    if (group === undefined || group.length >= BULK_KEYS) groups.set(text, [vector]);
    else group.push(vector);
  }
  return [...groups.values()];
}

function toAnswer(response: EvaluateResponse): Answer {
  return fromJsonAnswer(toJson(EvaluateResponseSchema, response) as JsonObject);
}

/** The JSON form of EvaluateResponse as an answer. */
function fromJsonAnswer({ flagKey: _flagKey, revision: _revision, error, ...answer }: JsonObject): Answer {
  const code = (error as JsonObject | undefined)?.code;
  return { ...answer, ...(code !== undefined && { errorCode: code }) } as unknown as Answer;
}

const noAnswer = [Code.Unavailable, Code.DeadlineExceeded, Code.Unauthenticated, Code.PermissionDenied];

/** What a failed call says of a flag. Rethrows what says nothing of it: that the server is not there, or lets nobody in. */
function toGot(reason: unknown): Got {
  const error = ConnectError.from(reason);
  const isUnknown = error.findDetails(ErrorInfoSchema).some((info) => info.reason === "FLAG_NOT_FOUND");
  if (error.code === Code.NotFound && isUnknown) return flagNotFound;
  if (isConnectionLost(error) || noAnswer.includes(error.code)) throw error;
  return { refusal: error.message };
}
