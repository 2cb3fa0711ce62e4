import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import { targetingId } from "../../src/store/index.js";
import { openTestServer, type TestServer } from "../support/server.js";

const SECRET = "top(secret";
const variants = {
  on: { kind: { case: "boolValue" as const, value: true } },
  off: { kind: { case: "boolValue" as const, value: false } },
};

let server: TestServer;
let root: Credentials;
let page: Credentials;

interface Credentials {
  readonly headers: { readonly authorization: string };
}

async function createToken(name: string, role: Role, environments: string[] = []): Promise<Credentials> {
  const { bearer } = await server.admin.createToken({ token: { name, role, environments } }, root);
  return { headers: { authorization: `Bearer ${bearer}` } };
}

/** A malformed flag whose rule holds a secret, as a newer version may have written it, and somebody who may not see rules. */
beforeAll(async () => {
  server = await openTestServer();
  const flag = { key: "broken", type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants };
  const targeting = { enabled: true, offVariant: "off" };
  await server.admin.createFlag({ flag, targeting });
  const after = create(RecordSchema, {
    kind: {
      case: "targeting",
      value: {
        ...targeting,
        flagKey: "broken",
        environment: "production",
        rules: [
          {
            id: "r",
            condition: {
              kind: {
                case: "match",
                value: {
                  attribute: "email",
                  operator: Operator.MATCHES,
                  values: [{ kind: { case: "stringValue", value: SECRET } }],
                },
              },
            },
            serve: { kind: { case: "variant", value: "on" } },
          },
        ],
      },
    },
  });
  const changes = [{ id: targetingId("production", "broken"), after }];
  await server.store.commit({ timeMs: 0, author: "", comment: "", changes, preconditions: [] });
  await vi.waitFor(async () => {
    expect((await server.evaluation.evaluate({ flagKey: "broken" })).reason).toBe("ERROR");
  });
  const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  root = { headers: { authorization: `Bearer ${bearer}` } };
  page = await createToken("page", Role.EVALUATOR);
});

afterAll(() => server[Symbol.asyncDispose]());

describe("who may not see rules hears that a flag is malformed, and nothing of what stands in it:", () => {
  it.each([
    ["flagwire.v1.EvaluationService/Evaluate", { flagKey: "broken" }],
    ["flagwire.v1.EvaluationService/BulkEvaluate", {}],
    ["ofrep/v1/evaluate/flags/broken", {}],
    ["ofrep/v1/evaluate/flags", {}],
    ["flagd.evaluation.v2.Service/ResolveBoolean", { flagKey: "broken" }],
    ["flagd.evaluation.v1.Service/ResolveAll", {}],
  ])("by %s", async (method, body) => {
    // An editor's answer comes first: what is kept of it is no other.
    for (const { headers } of [root, page]) {
      const answer = JSON.stringify(await server.json(method, body, headers));
      expect(answer).toMatch(/malformed|"reason":"ERROR"/);
      expect(answer).not.toContain("secret");
    }
  });

  it("in a stream of answers", async () => {
    const stop = new AbortController();
    const stream = server.evaluation.watchEvaluations({}, { ...page, signal: stop.signal });
    for await (const { kind } of stream) {
      if (kind.case !== "update") continue;
      const [message] = kind.value.evaluations.map(({ error }) => error?.message);
      expect(message).toContain("malformed");
      expect(message).not.toContain("secret");
      break;
    }
    stop.abort();
  });
});

it("usage is told of the caller's environments alone, with who reports there", async () => {
  await server.admin.createEnvironment({ environment: { name: "staging" } }, root);
  const report = (environment: string, clientName: string) => {
    const counts = [{ flagKey: "broken", variant: "on", revision: 1n, count: 7n }];
    return server.evaluation.reportUsage({ environment, clientName, reportId: clientName, counts }, root);
  };
  await report("production", "shop");
  await report("staging", "shop-staging");
  const staging = await createToken("staging", Role.READER, ["staging"]);
  const { reporters, usages } = await server.admin.listUsage({}, staging);
  expect(reporters.map(({ clientName }) => clientName)).toEqual(["shop-staging"]);
  expect(usages.map(({ count }) => count)).toEqual([7n]);
  await expect(server.admin.listUsage({ environment: "production" }, staging)).rejects.toThrow("production");
});
