import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { openMirror } from "../../src/client/index.js";
import type { Context } from "../../src/engine/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { snapshotOf } from "./items.js";
import { type Answer, expectedAnswer, readVectors } from "./vectors.js";

/** One way to ask for a flag. */
interface Host {
  readonly name: string;
  ask(flagKey: string, context: Context): Promise<Answer>;
}

const NOT_FOUND: Answer = { reason: "ERROR", errorCode: "FLAG_NOT_FOUND" };

function split({ targetingKey = "", ...attributes }: Context) {
  return { targetingKey: String(targetingKey), attributes: attributes as JsonObject };
}

/** The JSON form of EvaluateResponse as an answer. */
function fromResponse(json: Record<string, unknown>): Answer {
  const { flagKey: _flagKey, revision: _revision, error, ...answer } = json;
  const code = (error as { code: string } | undefined)?.code;
  return { ...answer, ...(code !== undefined && { errorCode: code }) } as Answer;
}

function withoutAbsent(answer: object): Answer {
  return JSON.parse(JSON.stringify(answer));
}

describe.each(readVectors())("$name is answered alike by", ({ file, cases }) => {
  let server: TestServer;
  const hosts: Host[] = [];
  const closers: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    server = await openTestServer();
    await server.admin.import(
      (async function* () {
        yield { file };
      })(),
    );
    hosts.push(engineHost(), grpcHost(server), jsonHost(server), bulkHost(server));
    const mirror = await openMirror({ address: server.address });
    closers.push(() => mirror.close());
    hosts.push({
      name: "a mirror",
      async ask(flagKey, context) {
        const flag = snapshotOf(file).flag(flagKey);
        const fallbacks = [undefined, false, "", 0, {}] as const;
        const details = mirror.details(flagKey, fallbacks[flag?.type ?? 0] ?? false, context);
        const { flagKey: _f, revision: _r, errorMessage: _m, value, ...answer } = details;
        return withoutAbsent({ ...answer, value: details.variant === undefined ? undefined : value });
      },
    });
  });

  afterAll(async () => {
    for (const close of closers) await close();
    await server[Symbol.asyncDispose]();
  });

  function engineHost(): Host {
    const snapshot = snapshotOf(file);
    return {
      name: "the engine",
      async ask(flagKey, context) {
        const outcome = snapshot.flag(flagKey)?.select(context, Date.now());
        if (outcome === undefined) return NOT_FOUND;
        const { flagKey: _f, errorMessage: _m, ...answer } = outcome;
        return withoutAbsent(answer);
      },
    };
  }

  test.each(["the engine", "Evaluate over gRPC", "Evaluate as JSON", "BulkEvaluate", "a mirror"])(
    "%s",
    async (name) => {
      const host = hosts.find((candidate) => candidate.name === name);
      if (host === undefined) throw new Error(`no host ${name}`);
      for (const vector of cases) {
        const answer = await host.ask(vector.flagKey, vector.context);
        expect(answer, `${vector.flagKey} for ${JSON.stringify(vector.context)}`).toEqual(expectedAnswer(vector));
      }
    },
  );
});

function grpcHost({ evaluation }: TestServer): Host {
  return {
    name: "Evaluate over gRPC",
    async ask(flagKey, context) {
      try {
        const response = await evaluation.evaluate({ flagKey, context: split(context) });
        return fromResponse(toJson(EvaluateResponseSchema, response) as JsonObject);
      } catch (error) {
        if (ConnectError.from(error).code === Code.NotFound) return NOT_FOUND;
        throw error;
      }
    },
  };
}

function jsonHost(server: TestServer): Host {
  return {
    name: "Evaluate as JSON",
    async ask(flagKey, context) {
      const request = { flagKey, context: split(context) };
      const { status, body } = await server.json("flagwire.v1.EvaluationService/Evaluate", request);
      return status === 404 ? NOT_FOUND : fromResponse(body as Record<string, unknown>);
    },
  };
}

function bulkHost(server: TestServer): Host {
  return {
    name: "BulkEvaluate",
    async ask(flagKey, context) {
      const request = { flagKeys: [flagKey], context: split(context) };
      const { body } = await server.json("flagwire.v1.EvaluationService/BulkEvaluate", request);
      const [evaluation] = (body as { evaluations: Record<string, unknown>[] }).evaluations;
      return fromResponse(evaluation ?? {});
    },
  };
}
