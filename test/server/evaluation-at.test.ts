import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { EvaluateRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { systemClock } from "../../src/base/index.js";
import { decodeQuestion } from "../../src/server/decode-question.js";
import {
  booleanFlag,
  invalid,
  match,
  number,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
  stringFlag,
} from "./admin-support.js";
import { clientsOf, clientsWith, openForgetfulServer } from "./past-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

/** A clock that tells the machine's time, or another one. */
function settableClock() {
  return { ...systemClock, now: () => clock.timeMs, timeMs: 1_000_000 };
}
let clock = settableClock();
beforeEach(() => {
  clock = settableClock();
});

const variants = ["v1", "v2", "v3"];
/** Revision 2 creates the flag `a`, which serves `v1`; each later one serves another. */
async function serveInTurn({ admin }: Pick<RestartableServer, "admin">) {
  await admin.createFlag({ flag: stringFlag("a", variants), targeting: { enabled: true, default: serve("v1") } });
  for (const variant of variants.slice(1)) {
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, default: serve(variant) } });
  }
}

describe("an answer of the past", () => {
  it("is that of the revision, over every protocol", async () => {
    await serveInTurn(server);
    for (const [index, variant] of variants.entries()) {
      const revision = index + 2;
      const answer = await server.evaluation.evaluate({ flagKey: "a", atRevision: BigInt(revision) });
      expect(answer).toMatchObject({ variant, revision: BigInt(revision) });
      const json = await server.json("flagwire.v1.EvaluationService/Evaluate", { flagKey: "a", atRevision: revision });
      expect(json.body).toMatchObject({ variant, revision: String(revision) });
    }
    expect((await server.evaluation.evaluate({ flagKey: "a" })).variant).toBe("v3");
  });

  it("is explained as it was", async () => {
    await serveInTurn(server);
    const { trace } = await server.evaluation.evaluate({ flagKey: "a", atRevision: 2n, explain: true });
    expect(JSON.stringify(trace, (_, value) => (typeof value === "bigint" ? String(value) : value))).toContain("v1");
  });

  it("is given of a flag and an environment that are gone, and not before they came", async () => {
    const { admin, evaluation } = server;
    await admin.createEnvironment({ environment: { name: "gone" } }); // 2
    await admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true, default: serve("on") } }); // 3
    await admin.createFlag({ flag: booleanFlag("b") }); // 4
    await admin.deleteFlag({ key: "a" });
    await admin.deleteEnvironment({ name: "gone" });
    const question = { flagKey: "a", environment: "gone" };
    expect((await evaluation.evaluate({ ...question, atRevision: 4n })).variant).toBe("on");
    expect(await evaluation.evaluate({ flagKey: "b", environment: "gone", atRevision: 4n })).toMatchObject({
      reason: "DISABLED",
    });
    expect(await refusalOf(evaluation.evaluate({ ...question, atRevision: 2n }))).toMatchObject(
      refused("NotFound", "FLAG_NOT_FOUND"),
    );
    for (const atRevision of [0n, 1n, 6n]) {
      expect(await refusalOf(evaluation.evaluate({ ...question, atRevision }))).toMatchObject(
        refused("NotFound", "ENVIRONMENT_NOT_FOUND"),
      );
    }
  });

  it("at a time is that of the newest revision by then, with $now at that time", async () => {
    const { admin, evaluation } = await openForgetfulServer(100, clock);
    const rules = [rule(match("$now", Operator.LESS, number(2_500_000)), "v1", "early")];
    clock.timeMs = 2_000_000;
    await admin.createFlag({
      flag: stringFlag("a", variants),
      targeting: { enabled: true, rules, default: serve("v2") },
    });
    clock.timeMs = 3_000_000;
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, rules, default: serve("v3") } });
    clock.timeMs = 4_000_000;
    const at = async (timeMs: number) => evaluation.evaluate({ flagKey: "a", atTime: timestampFromMs(timeMs) });
    expect(await at(2_000_000)).toMatchObject({ variant: "v1", revision: 2n });
    expect(await at(2_999_999)).toMatchObject({ variant: "v2", revision: 2n });
    expect(await at(3_000_000)).toMatchObject({ variant: "v3", revision: 3n });
    expect(await at(4_000_000)).toMatchObject({ variant: "v3", revision: 3n });
    expect((await evaluation.evaluate({ flagKey: "a", atRevision: 2n })).variant).toBe("v2");
    expect(await refusalOf(at(1_500_000))).toMatchObject({ reason: "FLAG_NOT_FOUND" });
    expect(await refusalOf(at(500_000))).toMatchObject({ reason: "ENVIRONMENT_NOT_FOUND" });
    expect(await refusalOf(at(4_000_001))).toMatchObject(invalid("at_time"));
  });

  it("is refused precisely where there is none", async () => {
    const { evaluation } = server;
    const both = { flagKey: "a", atRevision: 1n, atTime: timestampFromMs(1) };
    expect(await refusalOf(evaluation.evaluate(both))).toMatchObject(invalid("at_time"));
    expect(await refusalOf(evaluation.evaluate({ atRevision: 1n }))).toMatchObject(invalid("flag_key"));
    expect(await refusalOf(evaluation.evaluate({ flagKey: "a", atRevision: 2n }))).toMatchObject(
      refused("NotFound", "REVISION_NOT_FOUND", "at_revision"),
    );
  });

  it("is given as far as history is kept, and not beyond", async () => {
    const { admin, evaluation } = await openForgetfulServer(3, clock);
    await serveInTurn({ admin } as RestartableServer);
    clock.timeMs = 2_000_000;
    await admin.createFlag({ flag: booleanFlag("b") }); // 5; 3 to 5 are kept
    expect((await evaluation.evaluate({ flagKey: "a", atRevision: 2n })).variant).toBe("v1");
    expect(await refusalOf(evaluation.evaluate({ flagKey: "a", atRevision: 1n }))).toMatchObject(
      refused("FailedPrecondition", "HISTORY_COMPACTED", "at_revision"),
    );
    expect(await refusalOf(evaluation.evaluate({ flagKey: "a", atTime: timestampFromMs(999_999) }))).toMatchObject(
      refused("FailedPrecondition", "HISTORY_COMPACTED", "at_time"),
    );
    await expect(evaluation.evaluate({ flagKey: "a", atRevision: 1n })).rejects.toThrow(
      "history was compacted and no longer reaches the state at revision 1: it begins at revision 3",
    );
  });

  it("needs a reader, of the environment", async () => {
    await serveInTurn(server);
    const { bearer } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const root = clientsOf(server.address, bearer);
    const question = { flagKey: "a", atRevision: 2n };
    const evaluator = await clientsWith(root, Role.EVALUATOR);
    expect(await refusalOf(evaluator.evaluation.evaluate(question))).toMatchObject({ reason: "ROLE_INSUFFICIENT" });
    expect((await evaluator.evaluation.evaluate({ flagKey: "a" })).variant).toBe("v3");
    const reader = await clientsWith(root, Role.READER, ["production"]);
    expect((await reader.evaluation.evaluate(question)).variant).toBe("v1");
    expect(await refusalOf(reader.evaluation.evaluate({ ...question, environment: "staging" }))).toMatchObject({
      reason: "ENVIRONMENT_NOT_PERMITTED",
    });
  });

  it("stays right while others write and many revisions are asked for", async () => {
    const { admin, evaluation } = server;
    const flags = Array.from({ length: 20 }, (_, index) => `${index}`);
    await admin.createFlag({ flag: stringFlag("a", flags), targeting: { enabled: true, default: serve("0") } }); // 2
    const writing = (async () => {
      for (const variant of flags.slice(1)) {
        await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, default: serve(variant) } });
      }
    })();
    const asking: Promise<void>[] = [];
    for (let round = 0; round < 100; round++) {
      const atRevision = (await evaluation.evaluate({ flagKey: "a" })).revision - BigInt(round % 3);
      if (atRevision < 2n) continue;
      asking.push(
        evaluation
          .evaluate({ flagKey: "a", atRevision })
          .then(({ variant, revision }) => expect([variant, revision]).toEqual([`${atRevision - 2n}`, atRevision])),
      );
    }
    await Promise.all([writing, ...asking]);
  });
});

it("a question of the past is left to the handler that knows of it", () => {
  const bytes = (extra: object) =>
    toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: "a", ...extra }));
  expect(decodeQuestion(bytes({}))).toBeDefined();
  expect(decodeQuestion(bytes({ atRevision: 0n }))).toBeUndefined();
  expect(decodeQuestion(bytes({ atRevision: 7n }))).toBeUndefined();
  expect(decodeQuestion(bytes({ atTime: {} }))).toBeUndefined();
});
