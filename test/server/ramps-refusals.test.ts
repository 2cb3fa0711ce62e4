import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService, type StartRampRequestSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { ServeSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  booleanFlag,
  everyone,
  expectRefused,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
  stringFlag,
} from "./admin-support.js";
import { DAY, steps, told } from "./ramps-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
  const off = { default: serve("off"), enabled: true };
  await server.admin.createFlag({ flag: booleanFlag("a"), targeting: off });
  const colours = stringFlag("colour", ["red", "blue", "green"]);
  await server.admin.createFlag({ flag: colours, targeting: { default: serve("red") } });
});

const fine = steps([1, DAY], [100]);
const start = (request: MessageInitShape<typeof StartRampRequestSchema> = {}) =>
  server.admin.startRamp({ flagKey: "a", steps: fine, ...request });
const rollout = (...shares: [string, number][]): MessageInitShape<typeof ServeSchema> => ({
  kind: { case: "rollout", value: { shares: shares.map(([variant, weight]) => ({ variant, weight })) } },
});
const setDefault = (flagKey: string, value: MessageInitShape<typeof ServeSchema>) =>
  server.admin.updateTargeting({ targeting: { flagKey, default: value }, updateMask: { paths: ["default"] } });

describe("a ramp is refused", () => {
  it.each([
    ["no steps", [], ["steps"]],
    ["more than 50 steps", steps(...Array.from({ length: 51 }, (_, at) => [at + 1, DAY] as const)), ["steps"]],
    ["a weight that does not grow", steps([5, DAY], [5, DAY], [100]), ["steps[1].weight"]],
    ["a weight of nothing", steps([0, DAY], [100]), ["steps[0].weight"]],
    ["a weight above all", steps([1, DAY], [101]), ["steps[1].weight"]],
    ["a step without an end", steps([1], [100]), ["steps[0].duration"]],
    ["a last step with an end", steps([1, DAY], [100, DAY]), ["steps[1].duration"]],
    ["less than a minute", steps([1, 59_999], [100]), ["steps[0].duration"]],
    ["more than 366 days", steps([1, 366 * DAY + 1], [100]), ["steps[0].duration"]],
    [
      "a time that is none",
      [{ weight: 1, duration: { seconds: 60n, nanos: -1 } }, { weight: 2 }],
      ["steps[0].duration"],
    ],
  ])("with %s", async (_what, wanted, fields) => {
    await expectRefused(server, () => start({ steps: wanted }), invalid(...fields));
  });

  it("on a rule that is not there, naming those that are", async () => {
    await server.admin.updateTargeting({ targeting: { flagKey: "a", rules: [rule(everyone, "off", "beta")] } });
    const error = await expectRefused(server, () => start({ ruleId: "gamma" }), invalid("rule_id"));
    expect(error.message).toContain("it has beta");
  });

  it("between variants that do not go without saying, or are not there, or are the same", async () => {
    await expectRefused(server, () => start({ flagKey: "colour" }), invalid("variant", "from_variant"));
    await expectRefused(server, () => start({ flagKey: "colour", variant: "blue" }), invalid("from_variant"));
    await expectRefused(server, () => start({ variant: "maybe" }), invalid("variant"));
    await expectRefused(server, () => start({ variant: "on", fromVariant: "on" }), invalid("from_variant"));
  });

  it("where a third variant is served", async () => {
    const wanted = { flagKey: "colour", variant: "blue", fromVariant: "green" };
    const error = await expectRefused(server, () => start(wanted), invalid("from_variant"));
    expect(error.message).toContain('"red" is served too');
    await setDefault("colour", rollout(["blue", 10], ["green", 80], ["red", 10]));
    await expectRefused(server, () => start(wanted), invalid("from_variant"));
  });

  it("where a variant is served in several pieces, because growing it would move somebody out", async () => {
    await setDefault("a", rollout(["on", 10], ["off", 80], ["on", 10]));
    await expectRefused(server, start, invalid("rule_id"));
  });

  it("where one is under way", async () => {
    await start();
    await expectRefused(server, start, refused("FailedPrecondition", "RAMP_EXISTS"));
  });

  it("of a flag or in an environment that is not there", async () => {
    await expectRefused(server, () => start({ flagKey: "b" }), refused("NotFound", "FLAG_NOT_FOUND"));
    await expectRefused(server, () => start({ environment: "x" }), refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
  });
});

it.each(["pauseRamp", "resumeRamp", "abortRamp"] as const)("%s is refused where there is no ramp", async (method) => {
  await expectRefused(server, () => server.admin[method]({ flagKey: "a" }), refused("NotFound", "RAMP_NOT_FOUND"));
  await start();
  const { error, ...rest } = await refusalOf(server.admin[method]({ flagKey: "a", ruleId: "beta" }));
  expect(rest).toEqual(refused("NotFound", "RAMP_NOT_FOUND"));
  expect(error.message).toContain("the default has one");
});

describe("a ramp", () => {
  it("takes up to 50 steps, from a minute to 366 days", async () => {
    const all = Array.from({ length: 50 }, (_, index) => ({
      weight: index + 1,
      ...(index < 49 && { duration: durationFromMs(index % 2 === 0 ? 60_000 : 366 * DAY) }),
    }));
    expect((await start({ steps: all })).targeting?.ramps[0]?.steps).toHaveLength(50);
  });

  it("of a boolean flag is to the variant that is true, or to the other one", async () => {
    expect(told((await start()).targeting?.default)).toBe("1% on, 99% off");
    await server.admin.abortRamp({ flagKey: "a" });
    expect(told((await start({ variant: "off" })).targeting?.default)).toBe("1% off, 99% on");
  });

  it("keeps the order, the salt and the attribute of the rollout that it goes on from", async () => {
    const shares = [
      { variant: "off", weight: 3 },
      { variant: "on", weight: 1 },
    ];
    await setDefault("a", { kind: { case: "rollout", value: { shares, salt: "s", bucketBy: "company" } } });
    const { targeting } = await start({ steps: steps([30, DAY], [100]) });
    expect(told(targeting?.default)).toBe("70% off, 30% on");
    expect(targeting?.default?.kind.value).toMatchObject({ salt: "s", bucketBy: "company" });
  });

  it("of a single step is over at once", async () => {
    expect((await start({ steps: steps([100]) })).targeting).toMatchObject({ default: serve("on"), ramps: [] });
  });

  it("is only shown by a dry run", async () => {
    const before = await revisionOf(server);
    const { targeting, revision } = await start({ dryRun: true });
    expect(targeting?.ramps).toHaveLength(1);
    expect(revision).toBe(0n);
    expect(await revisionOf(server)).toBe(before);
  });

  it("is started once under an idempotency key, and not on what was changed since", async () => {
    const expectedRevision = await revisionOf(server);
    const { revision } = await start({ idempotencyKey: "k" });
    expect((await start({ idempotencyKey: "k" })).revision).toBe(revision);
    const stale = server.admin.pauseRamp({ flagKey: "a", expectedRevision });
    expect((await refusalOf(stale)).reason).toBe("REVISION_CONFLICT");
  });

  it("is started and resumed by an editor, paused and aborted by an operator too", async () => {
    const { bearer: root } = await server.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    const as = (bearer: string) => {
      const interceptors = [
        (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
          request.header.set("authorization", `Bearer ${bearer}`);
          return next(request as never);
        },
      ] as never;
      return createClient(AdminService, createGrpcTransport({ baseUrl: `http://${server.address}`, interceptors }));
    };
    const bearerOf = async (role: Role) => (await as(root).createToken({ token: { name: "t", role } })).bearer;
    const operator = as(await bearerOf(Role.OPERATOR));
    const editor = as(await bearerOf(Role.EDITOR));
    const request = { flagKey: "a" };
    expect((await refusalOf(operator.startRamp({ ...request, steps: fine }))).code).toBe("PermissionDenied");
    await editor.startRamp({ ...request, steps: fine });
    await operator.pauseRamp(request);
    expect((await refusalOf(operator.resumeRamp(request))).code).toBe("PermissionDenied");
    await editor.resumeRamp(request);
    await operator.abortRamp(request);
  });
});
