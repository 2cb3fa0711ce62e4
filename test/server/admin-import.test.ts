import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import type { ImportRequestSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import { BadRequestSchema } from "../../gen/google/rpc/error_details_pb.js";
import {
  boolean,
  booleanFlag,
  everyone,
  expectRefused,
  inSegment,
  invalid,
  match,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

type ImportInit = MessageInitShape<typeof ImportRequestSchema>;
type FileInit = MessageInitShape<typeof FlagFileSchema>;

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

async function* parts(...requests: ImportInit[]): AsyncGenerator<ImportInit> {
  yield* requests;
}

const importFile = (file: FileInit, options: Omit<ImportInit, "file" | "$typeName"> = {}) =>
  server.admin.import(parts({ ...options, file }));

const requires = (flagKey: string, other: string) => ({
  flagKey,
  prerequisites: [{ flagKey: other, variants: ["on"] }],
});

async function exported(from: RestartableServer, environment = ""): Promise<FlagFile> {
  const whole = create(FlagFileSchema);
  for await (const { file } of from.admin.export({ environment })) {
    whole.environments.push(...(file?.environments ?? []));
    whole.flags.push(...(file?.flags ?? []));
    whole.targetings.push(...(file?.targetings ?? []));
    whole.segments.push(...(file?.segments ?? []));
  }
  return whole;
}

const flagKeys = async () => (await server.admin.listFlags({})).flags.map(({ key }) => key);

describe("an import", () => {
  it("is one revision that says what it created, changed and found as it was", async () => {
    await server.admin.createFlag({ flag: booleanFlag("changed") });
    await server.admin.createFlag({ flag: booleanFlag("targeted") });
    await server.admin.createFlag({ flag: booleanFlag("same") });
    await server.admin.createFlag({ flag: booleanFlag("elsewhere") });
    const before = await revisionOf(server);
    const answer = await importFile({
      flags: [booleanFlag("new"), booleanFlag("changed", { description: "d" }), booleanFlag("same")],
      targetings: [{ flagKey: "targeted", enabled: true, rules: [rule(inSegment("s"), "on")] }],
      segments: [{ key: "s", included: ["u"] }],
    });
    expect(answer).toMatchObject({
      revision: before + 1n,
      createdFlags: ["new"],
      updatedFlags: ["changed", "targeted"],
      unchangedFlags: ["same"],
      changedSegments: ["s"],
      refused: [],
      retypedFlags: [],
    });
    expect(await revisionOf(server)).toBe(before + 1n);
    expect(await flagKeys()).toEqual(["changed", "elsewhere", "new", "same", "targeted"]);
  });

  it("says how many keys segments had and have that were there before, those that lose the most first", async () => {
    const keys = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);
    const segments = (...lengths: readonly number[]) =>
      lengths.map((length, index) => ({ key: `s${index}`, included: keys(length), excluded: ["x"] }));
    const created = await importFile({ segments: segments(1, 2, 9, 4) });
    expect(created).toMatchObject({ changedSegments: ["s0", "s1", "s2", "s3"], resizedSegments: [] });
    const file = {
      segments: [...segments(3, 2), { key: "s2", description: "no keys" }, ...segments(0, 0, 0, 2).slice(3)],
    };
    const resizedSegments = [
      {
        key: "s2",
        environment: "production",
        includedBefore: 9,
        includedAfter: 0,
        excludedBefore: 1,
        excludedAfter: 0,
      },
      { key: "s3", includedBefore: 4, includedAfter: 2, excludedBefore: 1, excludedAfter: 1 },
      { key: "s0", includedBefore: 1, includedAfter: 3 },
    ];
    expect(await importFile(file, { dryRun: true })).toMatchObject({ revision: 0n, resizedSegments });
    expect(await importFile(file)).toMatchObject({ resizedSegments });
  });

  it("of the same file again is no revision", async () => {
    const file = {
      flags: [booleanFlag("a"), stringFlag("b", ["x", "y"])],
      targetings: [{ flagKey: "a", enabled: true, rules: [rule(everyone, "on")] }],
      segments: [{ key: "s" }],
      environments: [{ name: "staging", description: "d" }],
    };
    const { revision } = await importFile(file);
    const again = await importFile(file);
    expect(again).toMatchObject({ revision, createdFlags: [], updatedFlags: [], unchangedFlags: ["a", "b"] });
    expect(again.changedSegments).toEqual([]);
  });

  it("gives a new flag settings in every environment, those of the file and new ones included", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await importFile({
      environments: [{ name: "qa" }],
      flags: [booleanFlag("a")],
      targetings: [{ flagKey: "a", environment: "qa", enabled: true, default: serve("on") }],
    });
    const { targetings } = await server.admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment, enabled }) => [environment, enabled])).toEqual([
      ["production", false],
      ["qa", true],
      ["staging", false],
    ]);
    expect(targetings.every(({ offVariant, environment }) => offVariant === (environment === "qa" ? "" : "off"))).toBe(
      true,
    );
    expect((await server.evaluation.evaluate({ environment: "qa", flagKey: "a" })).variant).toBe("on");
  });

  it("gives a new environment settings for the flags that are there already", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await importFile({ environments: [{ name: "qa" }] });
    expect((await server.evaluation.evaluate({ environment: "qa", flagKey: "a" })).reason).toBe("DISABLED");
    expect((await server.admin.getFlag({ key: "a" })).targetings).toHaveLength(2);
  });

  it("puts what names no environment into the one asked for", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await importFile(
      { flags: [booleanFlag("a")], targetings: [{ flagKey: "a", enabled: true }], segments: [{ key: "s" }] },
      { environment: "staging" },
    );
    const { targetings } = await server.admin.getFlag({ key: "a" });
    expect(targetings.map(({ enabled }) => enabled)).toEqual([false, true]);
    expect((await server.admin.getSegment({ environment: "staging", key: "s" })).segment?.key).toBe("s");
    const unknown = () => importFile({ flags: [booleanFlag("b")] }, { environment: "x" });
    await expectRefused(server, unknown, refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
  });

  it("may come in any number of messages", async () => {
    const answer = await server.admin.import(
      parts(
        { comment: "in parts", file: { targetings: [requires("a", "b")] } },
        { file: { flags: [booleanFlag("a")] }, skipInvalid: true, dryRun: true },
        {},
        { file: { flags: [booleanFlag("b")] } },
      ),
    );
    expect(answer.createdFlags).toEqual(["a", "b"]);
    const [entry] = (await server.admin.listHistory({})).entries;
    expect(entry).toMatchObject({ revision: answer.revision, comment: "in parts" });
    await expectRefused(server, () => server.admin.import(parts()), invalid("file"));
  });

  it("that is refused says in which environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "qa" } });
    const rules = [rule(inSegment("missing"), "on")];
    const targetings = ["production", "qa"].map((environment) => ({ flagKey: "a", environment, rules }));
    const { error } = await refusalOf(importFile({ flags: [booleanFlag("a")], targetings }));
    const descriptions = error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations.map(({ description }) => description));
    expect(descriptions).toEqual([
      'there is no segment "missing" (in production)',
      'there is no segment "missing" (in qa)',
    ]);
  });

  it("that says how many items it has is refused where another number came", async () => {
    const file = { flags: [booleanFlag("a"), booleanFlag("b")], segments: [{ key: "s" }] };
    await expectRefused(server, () => importFile(file, { itemCount: 4 }), invalid("item_count"));
    expect((await importFile(file, { itemCount: 3 })).createdFlags).toEqual(["a", "b"]);
  });

  it("is recognised under its idempotency key, in whichever order a program writes maps", async () => {
    const { variants } = booleanFlag("a");
    const reversed = Object.fromEntries(Object.entries(variants ?? {}).reverse());
    const once = await importFile({ flags: [booleanFlag("a")] }, { idempotencyKey: "k" });
    const again = await importFile({ flags: [booleanFlag("a", { variants: reversed })] }, { idempotencyKey: "k" });
    expect(again.revision).toBe(once.revision);
    const other = () => importFile({ flags: [booleanFlag("b")] }, { idempotencyKey: "k" });
    await expectRefused(server, other, refused("AlreadyExists", "IDEMPOTENCY_KEY_REUSED"));
  });

  it("neither kills nor revives flags that are there", async () => {
    await importFile({ flags: [booleanFlag("dead"), booleanFlag("alive")] });
    await server.admin.killFlags({ flagKeys: ["dead"], reason: "incident" });
    await importFile({
      flags: [booleanFlag("new")],
      targetings: [
        { flagKey: "dead", enabled: true },
        { flagKey: "alive", enabled: true, killed: { reason: "old" } },
        { flagKey: "new", enabled: true, killed: { reason: "kept" } },
      ],
    });
    const { targetings } = await server.admin.listFlags({});
    const reasons = targetings.map(({ flagKey, killed }) => [flagKey, killed?.reason]);
    expect(reasons).toEqual([
      ["alive", undefined],
      ["dead", "incident"],
      ["new", "kept"],
    ]);
  });

  it("can change a flag's type, and says which ones it changed", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a"), targeting: { enabled: true } });
    const retype = () => importFile({ flags: [stringFlag("a", ["x"])] });
    const answer = await retype();
    expect(answer).toMatchObject({ updatedFlags: ["a"], retypedFlags: ["a"] });
    expect((await server.admin.getFlag({ key: "a" })).flag?.type).toBe(FlagType.STRING);
    expect((await retype()).retypedFlags).toEqual([]);
  });

  it("gives a flag that the file kills a time, unless the file has one", async () => {
    const killedAt = { seconds: 1_000n, nanos: 0 };
    await importFile({
      flags: [booleanFlag("a"), booleanFlag("b")],
      targetings: [
        { flagKey: "a", killed: { reason: "r" } },
        { flagKey: "b", killed: { reason: "r", killedAt } },
      ],
    });
    const [a, b] = (await server.admin.listFlags({})).targetings;
    expect(Number(a?.killed?.killedAt?.seconds ?? 0n)).toBeGreaterThan(1_000_000);
    expect(b?.killed?.killedAt).toMatchObject(killedAt);
  });

  it("limits who killed a flag and why", async () => {
    const killed = { killedBy: "x".repeat(257), reason: "x".repeat(1_025) };
    const file = { flags: [booleanFlag("a")], targetings: [{ flagKey: "a", killed }] };
    const fields = ["killed_by", "reason"].map((name) => `flags["a"].targeting.killed.${name}`);
    await expectRefused(server, () => importFile(file), invalid(...fields));
  });

  it("starts a new environment with the variants that its flags have in the file", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const renamed = booleanFlag("a", { variants: { yes: boolean(true), no: boolean(false) } });
    await importFile({
      flags: [renamed],
      targetings: [{ flagKey: "a", offVariant: "no", default: serve("yes") }],
      environments: [{ name: "qa" }],
    });
    const { targetings } = await server.admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment, offVariant }) => [environment, offVariant])).toEqual([
      ["production", "no"],
      ["qa", "no"],
    ]);
  });

  it("takes the key of a deleted flag by force only", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.deleteFlag({ key: "a" });
    await expectRefused(server, () => importFile({ flags: [booleanFlag("a")] }), invalid('flags["a"].flag.key'));
    expect((await importFile({ flags: [booleanFlag("a")] }, { force: true })).createdFlags).toEqual(["a"]);
  });

  it("only if empty leaves everything as it is where anything is there", async () => {
    const file = { flags: [booleanFlag("sample")] };
    expect((await importFile(file, { onlyIfEmpty: true })).createdFlags).toEqual(["sample"]);
    const before = await revisionOf(server);
    const again = await importFile({ flags: [booleanFlag("other")] }, { onlyIfEmpty: true });
    expect(again).toMatchObject({ revision: before, createdFlags: [], unchangedFlags: [] });
    expect(await flagKeys()).toEqual(["sample"]);
  });

  it.each<[string, (server: RestartableServer) => Promise<unknown>]>([
    ["a segment", ({ admin }) => admin.createSegment({ segment: { key: "s" } })],
    ["an environment", ({ admin }) => admin.createEnvironment({ environment: { name: "e" } })],
  ])("only if empty counts %s", async (_what, fill) => {
    await fill(server);
    await importFile({ flags: [booleanFlag("a")] }, { onlyIfEmpty: true });
    expect(await flagKeys()).toEqual([]);
  });

  it("that is only tried says what it would do, with revision 0", async () => {
    const before = await revisionOf(server);
    const tried = await importFile({ flags: [booleanFlag("a")] }, { dryRun: true });
    expect(tried).toMatchObject({ revision: 0n, createdFlags: ["a"] });
    expect([await flagKeys(), await revisionOf(server)]).toEqual([[], before]);
  });

  it("can be of thousands of flags", async () => {
    const count = 3_000;
    const flags = Array.from({ length: count }, (_, index) => booleanFlag(`flag-${index}`));
    const half = Math.ceil(count / 2);
    const { createdFlags } = await server.admin.import(
      parts({ file: { flags: flags.slice(0, half) } }, { file: { flags: flags.slice(half) } }),
    );
    expect(createdFlags).toHaveLength(count);
    expect((await server.evaluation.bulkEvaluate({})).evaluations).toHaveLength(count);
  });
});

describe("the keys of a segment that come in parts", () => {
  const segment = (environment = "") => ({ key: "s", environment, included: ["a"] });
  const keys = (segmentKey: string, environment: string, included: string[], excluded: string[] = []) => ({
    segmentKey,
    environment,
    included,
    excluded,
  });
  const kept = async (environment: string) => (await server.admin.getSegment({ key: "s", environment })).segment;

  it("are added to the segment of their environment, whether it is named or not", async () => {
    await server.admin.createEnvironment({ environment: { name: "qa" } });
    const answer = await server.admin.import(
      parts(
        { itemCount: 6, file: { segments: [segment(), segment("qa")], segmentKeys: [keys("s", "production", ["b"])] } },
        { file: { segmentKeys: [keys("s", "qa", ["c"]), keys("s", "", ["d"], ["x"])] } },
        { file: { segmentKeys: [keys("s", "qa", ["e"], ["y"])] } },
      ),
    );
    expect(answer.changedSegments).toEqual(["s"]);
    expect(await kept("production")).toMatchObject({ included: ["a", "b", "d"], excluded: ["x"] });
    expect(await kept("qa")).toMatchObject({ included: ["a", "c", "e"], excluded: ["y"] });
  });

  it.each<[string, ReturnType<typeof keys>, string]>([
    ["of no segment", keys("t", "", ["b"]), 'there is no segment "t" of production'],
    ["of another environment's segment", keys("s", "qa", ["b"]), 'there is no segment "s" of qa'],
    ["before their segment", keys("later", "", ["b"]), 'there is no segment "later" of production'],
  ])("are refused by their place where they are %s", async (_what, misplaced, reason) => {
    const stream = () =>
      server.admin.import(
        parts(
          { skipInvalid: true, file: { segments: [segment()] } },
          { file: { segmentKeys: [keys("s", "", ["b"]), misplaced] } },
          { file: { segments: [{ key: "later" }] } },
        ),
      );
    const error = await expectRefused(server, stream, invalid("file.segment_keys[1].segment_key"));
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.description).toContain(reason);
  });

  it("count as items, so that a stream that was cut short is noticed", async () => {
    const first = { segments: [segment()], segmentKeys: [keys("s", "", ["b"])] };
    const stream = () => server.admin.import(parts({ itemCount: 3, file: first }));
    await expectRefused(server, stream, invalid("item_count"));
  });

  it("are what an export makes of a segment that is larger than its parts", async () => {
    const many = (name: string) => Array.from({ length: 70_000 }, (_, index) => `${name}-${index}-of-many`);
    const file = { segments: [{ key: "s", included: many("in"), excluded: many("out") }, { key: "t" }] };
    await importFile({ segments: [file.segments[1] ?? {}] });
    await server.admin.import(
      parts(
        { file: { segments: [{ key: "s", included: many("in") }] } },
        { file: { segmentKeys: [keys("s", "", [], many("out"))] } },
      ),
    );
    const messages: FlagFile[] = [];
    for await (const { file: part } of server.admin.export({})) if (part) messages.push(part);
    for (const part of messages) expect(toBinary(FlagFileSchema, part).length).toBeLessThanOrEqual(1_048_576);
    expect(messages.flatMap(({ segments }) => segments.map(({ key }) => key))).toEqual(["s", "t"]);
    const parted = messages.flatMap(({ segments, segmentKeys }) => [...segments, ...segmentKeys]);
    expect(parted.flatMap(({ included }) => included)).toEqual(many("in"));
    expect(parted.flatMap(({ excluded }) => excluded)).toEqual(many("out"));
  });
});

describe("what an import refuses", () => {
  it("is named by key and place, all of it, and nothing is changed", async () => {
    const file = {
      flags: [booleanFlag("good"), booleanFlag("bad", { kind: 1 }), { key: "" }],
      targetings: [
        { flagKey: "good", rules: [rule(everyone, "none")] },
        { flagKey: "missing" },
        { flagKey: "good", environment: "nowhere" },
      ],
      segments: [{ key: "s", condition: inSegment("t") }],
    };
    const { fields, error } = await refusalOf(importFile(file));
    expect([...new Set(fields)].sort()).toEqual([
      'flags[""].flag.key',
      'flags[""].flag.kind',
      'flags[""].flag.type',
      'flags[""].flag.variants',
      'flags["bad"].flag.expires_at',
      'flags["bad"].flag.owner',
      'flags["good"].targeting.environment',
      'flags["good"].targeting.rules[0].serve.variant',
      'flags["missing"].targeting.flag_key',
      'segments["s"].segment.condition.segment',
    ]);
    expect(error.rawMessage).toContain("nothing was changed");
    expect(await revisionOf(server)).toBe(1n);
  });

  it("can be left out, with all that depends on it", async () => {
    await server.admin.createFlag({ flag: booleanFlag("kept") });
    const answer = await importFile(
      {
        flags: [
          booleanFlag("a", { kind: 1 }),
          booleanFlag("b"),
          booleanFlag("c"),
          booleanFlag("d"),
          booleanFlag("kept", { description: "new" }),
        ],
        targetings: [requires("b", "a"), requires("c", "b"), requires("d", "kept")],
        segments: [{ key: "d", included: ["u"] }, { key: "bad key" }],
      },
      { skipInvalid: true },
    );
    expect(answer).toMatchObject({ createdFlags: ["d"], updatedFlags: ["kept"], changedSegments: ["d"] });
    expect(answer.unchangedFlags).toEqual([]);
    expect([...new Set(answer.refused.map(({ key }) => key))].sort()).toEqual(["a", "b", "bad key", "c"]);
    for (const { field, description } of answer.refused) expect([field, description]).not.toContain("");
    expect(await flagKeys()).toEqual(["d", "kept"]);
  });

  it("may have the key of a segment without hiding the flag of that name", async () => {
    const file = { flags: [booleanFlag("x")], segments: [{ key: "x", condition: inSegment("none") }] };
    const answer = await importFile(file, { skipInvalid: true });
    expect(answer).toMatchObject({ createdFlags: ["x"], changedSegments: [] });
    expect(answer.refused.map(({ field }) => field)).toEqual(["segment.condition.segment"]);
  });

  it("includes flags, segments and targetings that are in the file twice", async () => {
    const file = {
      flags: [booleanFlag("a"), booleanFlag("b"), booleanFlag("a")],
      segments: [{ key: "s" }, { key: "s" }],
      targetings: [{ flagKey: "b" }, { flagKey: "b", enabled: true }],
    };
    const expected = ['flags["a"].flag.key', 'flags["b"].targeting.flag_key', 'segments["s"].segment.key'];
    await expectRefused(server, () => importFile(file), invalid(...expected));
    const skipped = await importFile(file, { skipInvalid: true });
    expect(skipped.createdFlags).toEqual([]);
    await server.admin.createFlag({ flag: booleanFlag("b") });
    const ofNew = {
      environments: [{ name: "qa" }],
      targetings: file.targetings.map((t) => ({ ...t, environment: "qa" })),
    };
    await expectRefused(server, () => importFile(ofNew), invalid('flags["b"].targeting.flag_key'));
  });

  it("includes what would break a flag that is not in the file", async () => {
    await importFile({ flags: [booleanFlag("a"), booleanFlag("b")], targetings: [requires("b", "a")] });
    const file = { flags: [stringFlag("a", ["x"])], targetings: [{ flagKey: "a" }] };
    const { code, fields } = await refusalOf(importFile(file));
    expect([code, fields]).toEqual(["InvalidArgument", ['flags["b"].targeting.prerequisites[0].variants[0]']]);
    const skipped = await importFile({ ...file, segments: [{ key: "s" }] }, { skipInvalid: true });
    expect(skipped).toMatchObject({ updatedFlags: [], unchangedFlags: [], changedSegments: ["s"], retypedFlags: [] });
    expect(skipped.refused).toHaveLength(1);
    expect(skipped.refused[0]).toMatchObject({ key: "a", field: "flag" });
    expect(skipped.refused[0]?.description).toContain("flag b in production");
  });

  it("includes a segment that makes a flag too costly which is not in the file", async () => {
    const values = (count: number) => Array.from({ length: count }, (_, index) => text(`v${index}`));
    const heavy = (conditions: number) => ({
      kind: {
        case: "all" as const,
        value: {
          conditions: Array.from({ length: conditions }, () => match("a", Operator.CONTAINS, ...values(100))),
        },
      },
    });
    const rules = Array.from({ length: 200 }, (_, index) => rule(inSegment("s"), "on", `r${index}`));
    await importFile({
      flags: [booleanFlag("user")],
      segments: [{ key: "s" }],
      targetings: [{ flagKey: "user", enabled: true, rules }],
    });
    const file = { flags: [booleanFlag("fine")], segments: [{ key: "s", condition: heavy(400) }] };
    const { fields } = await refusalOf(importFile(file));
    expect(fields.every((field) => field.startsWith('flags["user"].targeting'))).toBe(true);
    const skipped = await importFile(file, { skipInvalid: true });
    expect(skipped).toMatchObject({ createdFlags: ["fine"], changedSegments: [] });
    expect(skipped.refused.map(({ key, field }) => [key, field])).toEqual([["s", "segment"]]);
  });

  it("includes an environment of a bad name, with its settings and segments", async () => {
    const file = {
      environments: [{ name: "bad name" }, { name: "qa" }],
      flags: [booleanFlag("a")],
      targetings: [
        { flagKey: "a", environment: "bad name", enabled: true },
        { flagKey: "a", environment: "qa", enabled: true },
      ],
      segments: [{ key: "s", environment: "bad name" }],
    };
    const skipped = await importFile(file, { skipInvalid: true });
    expect(skipped).toMatchObject({ createdFlags: ["a"], changedSegments: [] });
    expect(skipped.refused.map(({ key, field }) => [key, field])).toEqual([["bad name", "environment.name"]]);
    const { targetings } = await server.admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment, enabled }) => [environment, enabled])).toEqual([
      ["production", false],
      ["qa", true],
    ]);
  });

  it("can be left out link by link, however long the chain of flags that need each other", async () => {
    const key = (index: number) => `f${index}`;
    const answer = await importFile(
      {
        flags: Array.from({ length: 150 }, (_, index) => booleanFlag(key(index), index === 0 ? { kind: 1 } : {})),
        targetings: Array.from({ length: 149 }, (_, index) => requires(key(index + 1), key(index))),
      },
      { skipInvalid: true },
    );
    expect(answer.createdFlags).toEqual([]);
    expect(new Set(answer.refused.map((item) => item.key)).size).toBe(150);
  });

  it("includes files with more flags than the limit", async () => {
    const flags = Array.from({ length: 25_001 }, () => ({ key: "a" }));
    const large = () => server.admin.import(parts({ file: { flags } }, { file: { flags } }));
    await expectRefused(server, large, refused("ResourceExhausted", "FILE_TOO_LARGE"));
  });

  it("includes files with more items than the limit, whatever they are", async () => {
    const targetings = Array.from({ length: 130_000 }, () => ({ flagKey: "a" }));
    await expectRefused(server, () => importFile({ targetings }), invalid('flags["a"].targeting.flag_key'));
    const large = () => server.admin.import(parts({ file: { targetings } }, { file: { targetings } }));
    await expectRefused(server, large, refused("ResourceExhausted", "FILE_TOO_LARGE"));
  });

  it("includes parts above the size of a message", async () => {
    const flag = stringFlag("a", [], { variants: { v: text("x".repeat(5 * 1_048_576)) } });
    const { code } = await server.admin.import(parts({ file: { flags: [flag] } })).then(
      () => ({ code: "none" }),
      (error) => ({ code: error.code }),
    );
    expect(code).toBe(8);
    expect(await revisionOf(server)).toBe(1n);
  });
});

describe("an export", () => {
  it("imported into a fresh server gives the same flags, settings, segments and environments", async () => {
    await importFile({
      environments: [{ name: "staging", description: "d" }],
      flags: [booleanFlag("a", { tags: ["t"], metadata: { m: 1 } }), stringFlag("b", ["x", "y"])],
      targetings: [
        { flagKey: "a", enabled: true, rules: [rule(inSegment("s"), "on")], default: serve("off") },
        { flagKey: "b", environment: "staging", targets: [{ variant: "x", targetingKeys: ["u"] }] },
      ],
      segments: [
        { key: "s", included: ["u"] },
        { key: "s", environment: "staging", excluded: ["v"] },
      ],
    });
    await server.admin.killFlags({ flagKeys: ["b"], reason: "r" });
    const file = await exported(server);
    const fresh = await openServer();
    await fresh.admin.import(parts({ file }));
    expect(withoutStamps(await exported(fresh))).toEqual(withoutStamps(file));
    expect((await fresh.admin.import(parts({ file }))).unchangedFlags).toEqual(["a", "b"]);
    for (const environment of ["production", "staging"]) {
      const context = { targetingKey: "u" };
      const [here, there] = await Promise.all(
        [server, fresh].map(({ evaluation }) => evaluation.bulkEvaluate({ environment, context })),
      );
      const answers = (bulk: typeof here) => bulk?.evaluations.map((answer) => ({ ...answer, revision: 0n }));
      expect(answers(there)).toEqual(answers(here));
    }
  });

  it("can be of one environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.createFlag({ flag: booleanFlag("a") });
    await server.admin.createSegment({ environment: "staging", segment: { key: "s" } });
    const file = await exported(server, "production");
    expect(file.environments.map(({ name }) => name)).toEqual(["production"]);
    expect(file.targetings.map(({ environment }) => environment)).toEqual(["production"]);
    expect([file.flags.length, file.segments.length]).toEqual([1, 0]);
    expect(await refusalOf(exported(server, "x"))).toMatchObject(refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
  });

  it("comes in parts of bounded size that show one revision", async () => {
    const variants = { v: text("x".repeat(300_000)) };
    for (const key of ["a", "b", "c", "d", "e", "f", "g"])
      await server.admin.createFlag({ flag: stringFlag(key, [], { variants }) });
    const seen: number[] = [];
    const revisions = new Set<bigint>();
    for await (const { file, revision } of server.admin.export({})) {
      if (seen.length === 0) await server.admin.createFlag({ flag: booleanFlag("later") });
      seen.push(file?.flags.length ?? 0);
      revisions.add(revision);
    }
    expect(seen).toEqual([3, 3, 1]);
    expect(revisions.size).toBe(1);
  });

  it("of an empty server holds nothing but production", async () => {
    const file = await exported(server);
    expect(file.environments.map(({ name }) => name)).toEqual(["production"]);
    expect([...file.flags, ...file.targetings, ...file.segments]).toEqual([]);
  });
});

/** What authors decided: neither who and when, nor revisions. */
function withoutStamps(file: FlagFile): unknown {
  const stamps = ["revision", "createdAt", "createdBy", "changedAt", "changedBy"];
  const decided = (key: string, value: unknown) => (stamps.includes(key) ? undefined : value);
  return JSON.parse(toJsonString(FlagFileSchema, file), decided);
}
