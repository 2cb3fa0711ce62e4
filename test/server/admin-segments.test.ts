import { beforeEach, describe, expect, it } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import {
  booleanFlag,
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
  text,
} from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

async function usingSegment(key: string): Promise<void> {
  await server.admin.createFlag({ flag: booleanFlag("a") });
  const targeting = { flagKey: "a", enabled: true, rules: [rule(inSegment(key), "on")], default: serve("off") };
  await server.admin.updateTargeting({ targeting });
}

const variantFor = async (targetingKey: string, attributes = {}) =>
  (await server.evaluation.evaluate({ flagKey: "a", context: { targetingKey, attributes } })).variant;

describe("a segment", () => {
  it("decides who is meant: included before excluded before its condition", async () => {
    const condition = match("plan", Operator.IN, text("gold"));
    const segment = { key: "s", included: ["in", "both"], excluded: ["out", "both"], condition };
    const created = await server.admin.createSegment({ segment }, { headers: { "flagwire-author": "ada" } });
    expect(created.segment).toMatchObject({
      environment: "production",
      createdBy: "ada",
      changedBy: "ada",
      revision: created.revision,
    });
    expect((await server.admin.getSegment({ key: "s" })).segment).toEqual(created.segment);
    await usingSegment("s");
    const gold = { plan: "gold" };
    expect(await variantFor("in")).toBe("on");
    expect(await variantFor("both")).toBe("on");
    expect(await variantFor("out", gold)).toBe("off");
    expect(await variantFor("else", gold)).toBe("on");
    expect(await variantFor("else")).toBe("off");
  });

  it("can be changed whole, or in the fields of a mask, and those who use it follow", async () => {
    await server.admin.createSegment({ segment: { key: "s", included: ["u"], description: "old" } });
    await usingSegment("s");
    const masked = await server.admin.updateSegment({
      segment: { key: "s", excluded: ["x"], description: "new" },
      updateMask: { paths: ["description"] },
    });
    expect(masked.segment).toMatchObject({ description: "new", included: ["u"], excluded: [] });
    const whole = await server.admin.updateSegment({ segment: { key: "s", included: ["v"], createdBy: "nobody" } });
    expect(whole.segment).toMatchObject({ description: "", included: ["v"], createdBy: "anonymous" });
    expect([await variantFor("u"), await variantFor("v")]).toEqual(["off", "on"]);
    const before = await revisionOf(server);
    await server.admin.updateSegment({ segment: { key: "s", included: ["v"] } });
    expect(await revisionOf(server)).toBe(before);
  });

  it("belongs to one environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.createSegment({ segment: { key: "s", environment: "staging" } });
    const { segments } = await server.admin.listSegments({});
    expect(segments).toEqual([]);
    expect(await refusalOf(server.admin.getSegment({ key: "s" }))).toMatchObject(
      refused("NotFound", "SEGMENT_NOT_FOUND"),
    );
    expect((await server.admin.getSegment({ environment: "staging", key: "s" })).segment?.key).toBe("s");
    const both = () => server.admin.createSegment({ environment: "staging", segment: { key: "t", environment: "x" } });
    await expectRefused(server, both, invalid("segment.environment"));
  });

  it("may use other segments, but not itself through them", async () => {
    for (const key of ["s", "t"]) await server.admin.createSegment({ segment: { key, included: [key] } });
    await server.admin.updateSegment({ segment: { key: "s", condition: inSegment("t") } });
    await usingSegment("s");
    expect(await variantFor("t")).toBe("on");
    for (const [key, used] of [
      ["t", "s"],
      ["t", "t"],
    ] as const) {
      const close = () => server.admin.updateSegment({ segment: { key, condition: inSegment(used) } });
      await expectRefused(server, close, invalid("segment.condition"));
    }
    const missing = () => server.admin.updateSegment({ segment: { key: "t", condition: inSegment("u") } });
    await expectRefused(server, missing, invalid("segment.condition.segment"));
  });

  it("cannot be deleted while a rule or another segment uses it", async () => {
    for (const key of ["s", "t"]) await server.admin.createSegment({ segment: { key } });
    await server.admin.updateSegment({ segment: { key: "s", condition: inSegment("t") } });
    await usingSegment("s");
    const ofRule = await expectRefused(
      server,
      () => server.admin.deleteSegment({ key: "s" }),
      refused("FailedPrecondition", "SEGMENT_IN_USE", "targeting.rules[0].condition.segment"),
    );
    expect(ofRule.rawMessage).toContain("flag a");
    const { reason, error } = await refusalOf(server.admin.deleteSegment({ key: "t" }));
    expect(reason).toBe("SEGMENT_IN_USE");
    expect(error.rawMessage).toContain("segment s");
    await server.admin.deleteFlag({ key: "a" });
    await server.admin.deleteSegment({ key: "s" });
    await server.admin.deleteSegment({ key: "t" });
    expect((await server.admin.listSegments({})).segments).toEqual([]);
  });

  it("that exists cannot be created, and one that does not cannot be changed or deleted", async () => {
    await server.admin.createSegment({ segment: { key: "s" } });
    const create = () => server.admin.createSegment({ segment: { key: "s" } });
    await expectRefused(server, create, refused("AlreadyExists", "SEGMENT_EXISTS"));
    const missing = refused("NotFound", "SEGMENT_NOT_FOUND");
    await expectRefused(server, () => server.admin.updateSegment({ segment: { key: "x" } }), missing);
    await expectRefused(server, () => server.admin.deleteSegment({ key: "x" }), missing);
    const nowhere = refused("NotFound", "ENVIRONMENT_NOT_FOUND");
    await expectRefused(server, () => server.admin.createSegment({ environment: "x", segment: { key: "s" } }), nowhere);
    await expectRefused(server, () => server.admin.deleteSegment({ environment: "x", key: "s" }), nowhere);
  });

  it.each<[string, object, string]>([
    ["an empty key", { key: "" }, "segment.key"],
    ["a key with a slash", { key: "a/b" }, "segment.key"],
    ["a description of 4,097 characters", { key: "s", description: "d".repeat(4_097) }, "segment.description"],
    [
      "a malformed condition",
      { key: "s", condition: match("x", Operator.MATCHES, text("(")) },
      "segment.condition.match.values[0]",
    ],
    ["an empty condition", { key: "s", condition: {} }, "segment.condition"],
    ["1,000,001 keys", { key: "s", included: Array.from({ length: 1_000_001 }, () => "") }, "segment.included"],
  ])("with %s is refused by the field's name", async (_what, segment, field) => {
    await expectRefused(server, () => server.admin.createSegment({ segment }), invalid(field));
  });

  it("is listed in pages, without its keys where those are many", async () => {
    for (const key of ["c", "a", "b"]) await server.admin.createSegment({ segment: { key, included: ["u"] } });
    const many = Array.from({ length: 100_000 }, (_, index) => `user-${index}`);
    await server.admin.createSegment({ segment: { key: "d", included: many } });
    const first = await server.admin.listSegments({ pageSize: 2 });
    expect(first.segments.map(({ key, included }) => [key, included.length])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
    const second = await server.admin.listSegments({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.segments.map(({ key, included }) => [key, included.length])).toEqual([
      ["c", 1],
      ["d", 0],
    ]);
    expect(second.nextPageToken).toBe("");
    expect(second.segments[1]).toMatchObject({ includedCount: 100_000, excludedCount: 0, keysOmitted: true });
    const { segment } = await server.admin.getSegment({ key: "d" });
    expect(segment).toMatchObject({ included: { length: 100_000 }, includedCount: 100_000, keysOmitted: false });
  });

  it("that has no keys has none left out, however large its condition", async () => {
    const plans = Array.from({ length: 30_000 }, (_, index) => text(`plan-${index}`));
    await server.admin.createSegment({ segment: { key: "s", condition: match("plan", Operator.IN, ...plans) } });
    const [listed] = (await server.admin.listSegments({})).segments;
    if (listed === undefined) throw new Error("it is not listed");
    expect(listed).toMatchObject({ includedCount: 0, excludedCount: 0, keysOmitted: false });
    const segment = { ...listed, description: "new" };
    const { segment: written } = await server.admin.updateSegment({ segment });
    expect(written).toMatchObject({
      description: "new",
      condition: { kind: { value: { values: { length: 30_000 } } } },
    });
  });
});

describe("a change of a segment's keys", () => {
  const kept = async () => (await server.admin.getSegment({ key: "s" })).segment;
  beforeEach(async () => {
    const segment = { key: "s", description: "d", included: ["a", "b", "c"], excluded: ["x"] };
    await server.admin.createSegment({ segment });
  });

  it("adds some and takes others away, and leaves the rest in its order", async () => {
    const answer = await server.admin.changeSegmentKeys({
      key: "s",
      addIncluded: ["d", "c", "e", "d"],
      removeIncluded: ["b", "never"],
      addExcluded: ["b"],
      removeExcluded: ["x"],
    });
    expect(answer.segment).toMatchObject({
      description: "d",
      included: ["a", "c", "d", "e"],
      excluded: ["b"],
      includedCount: 4,
      revision: answer.revision,
    });
    expect(await kept()).toEqual(answer.segment);
  });

  it("says how many were added and taken away, without those that were there already or were not", async () => {
    const request = { key: "s", addIncluded: ["d", "c", "e", "d"], removeIncluded: ["b", "never"], addExcluded: ["y"] };
    const counts = { addedIncluded: 2, removedIncluded: 1, addedExcluded: 1, removedExcluded: 0 };
    expect((await server.admin.changeSegmentKeys({ ...request, dryRun: true })).changed).toMatchObject(counts);
    expect((await server.admin.changeSegmentKeys(request)).changed).toMatchObject(counts);
    const nothing = { addedIncluded: 0, removedIncluded: 0, addedExcluded: 0, removedExcluded: 0 };
    expect((await server.admin.changeSegmentKeys(request)).changed).toMatchObject(nothing);
  });

  it("does not say so to a repetition, whether or not the keys are still there", async () => {
    const request = { key: "s", addIncluded: ["d"], idempotencyKey: "once" };
    const { changed, revision } = await server.admin.changeSegmentKeys(request);
    expect(changed).toMatchObject({ addedIncluded: 1 });
    const again = await server.admin.changeSegmentKeys(request);
    expect([again.revision, again.changed]).toEqual([revision, undefined]);
    await server.admin.changeSegmentKeys({ key: "s", removeIncluded: ["d"] });
    const later = await server.admin.changeSegmentKeys(request);
    expect([later.revision, later.changed]).toEqual([revision, undefined]);
  });

  it("says so to the first attempt only, also where there was nothing to do", async () => {
    const request = { key: "s", addIncluded: ["a"], idempotencyKey: "once" };
    const { changed, revision } = await server.admin.changeSegmentKeys(request);
    expect(changed).toMatchObject({ addedIncluded: 0 });
    await server.admin.changeSegmentKeys({ key: "s", removeIncluded: ["a"] });
    const again = await server.admin.changeSegmentKeys(request);
    expect([again.revision, again.changed]).toEqual([revision, undefined]);
    expect((await kept())?.included).not.toContain("a");
  });

  it("that changes nothing makes no revision", async () => {
    const before = await revisionOf(server);
    const { revision } = await server.admin.changeSegmentKeys({ key: "s", addIncluded: ["b"], removeExcluded: ["y"] });
    expect(revision).toBe(before);
    const dryRun = await server.admin.changeSegmentKeys({ key: "s", addIncluded: ["z"], dryRun: true });
    expect(dryRun).toMatchObject({ revision: 0n, segment: { includedCount: 4 } });
    expect(await revisionOf(server)).toBe(before);
  });

  it("loses nothing of another one that comes at the same time", async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `u${index}`);
    await Promise.all(keys.map((key) => server.admin.changeSegmentKeys({ key: "s", addIncluded: [key] })));
    expect(new Set((await kept())?.included)).toEqual(new Set(["a", "b", "c", ...keys]));
  });

  it("is refused where it contradicts itself, where there is no segment, and beyond its limits", async () => {
    const contradictory = { key: "s", addIncluded: ["n", "a"], removeIncluded: ["a"], addExcluded: ["a"] };
    await expectRefused(server, () => server.admin.changeSegmentKeys(contradictory), invalid("add_included[1]"));
    const missing = refused("NotFound", "SEGMENT_NOT_FOUND");
    await expectRefused(server, () => server.admin.changeSegmentKeys({ key: "t", addIncluded: ["a"] }), missing);
    const nowhere = refused("NotFound", "ENVIRONMENT_NOT_FOUND");
    await expectRefused(server, () => server.admin.changeSegmentKeys({ key: "s", environment: "no" }), nowhere);
    const long = { key: "s", addIncluded: ["x".repeat(65_537)] };
    await expectRefused(server, () => server.admin.changeSegmentKeys(long), invalid("segment.included[3]"));
  });
});

describe("a segment that was read without its keys", () => {
  const included = Array.from({ length: 50_000 }, (_, index) => `user-${index}`);
  const readWithoutKeys = async () => {
    await server.admin.createSegment({ segment: { key: "s", included, excluded: ["x"], description: "old" } });
    const [read] = (await server.admin.listSegments({})).segments;
    if (!read?.keysOmitted) throw new Error("it came with its keys");
    return read;
  };

  it("cannot be written back whole, because it would lose them", async () => {
    const segment = { ...(await readWithoutKeys()), description: "new" };
    const omitted = invalid("segment.keys_omitted");
    await expectRefused(server, () => server.admin.updateSegment({ segment }), omitted);
    await server.admin.createEnvironment({ environment: { name: "qa" } });
    const copy = { ...segment, environment: "qa" };
    await expectRefused(server, () => server.admin.createSegment({ segment: copy }), omitted);
    const file = { segments: [segment] };
    const importFile = () =>
      server.admin.import(
        (async function* () {
          yield { file };
        })(),
      );
    await expectRefused(server, importFile, invalid('segments["s"].segment.keys_omitted'));
  });

  it("keeps those that a mask does not name", async () => {
    const segment = { ...(await readWithoutKeys()), description: "new" };
    await server.admin.updateSegment({ segment, updateMask: { paths: ["description"] } });
    const { segment: after } = await server.admin.getSegment({ key: "s" });
    expect(after).toMatchObject({ description: "new", includedCount: 50_000, excluded: ["x"] });
    expect(after?.included).toEqual(included);
  });

  it.each(["included", "excluded"])("cannot be written back under a mask that names %s", async (list) => {
    const segment = { ...(await readWithoutKeys()), description: "new" };
    const update = () => server.admin.updateSegment({ segment, updateMask: { paths: ["description", list] } });
    await expectRefused(server, update, invalid("segment.keys_omitted"));
  });

  it("leaves nothing of how it was shown in what is kept", async () => {
    const shown = { included: ["u"], includedCount: 7, excludedCount: 7 };
    await server.admin.createSegment({ segment: { key: "t", ...shown } });
    const kept = (await server.store.load()).records.get("segment/production/t")?.kind.value;
    expect(kept).toMatchObject({ included: ["u"], includedCount: 0, excludedCount: 0, keysOmitted: false });
  });

  it("is so in history too, where the rest of its change is shown", async () => {
    await readWithoutKeys();
    const segment = { key: "s", included: ["u"], description: "new" };
    await server.admin.updateSegment({ segment });
    const { entries } = await server.admin.listHistory({ pageSize: 1 });
    expect(entries[0]).toMatchObject({ omittedChanges: 0, changes: { length: 1 } });
    const { before, after } = entries[0]?.changes[0] ?? {};
    expect(before?.kind.value).toMatchObject({ description: "old", includedCount: 50_000, keysOmitted: true });
    expect(after?.kind.value).toMatchObject({ included: ["u"], includedCount: 1, keysOmitted: false });
    await server.restart();
    expect((await server.admin.listHistory({ pageSize: 1 })).entries).toEqual(entries);
  });
});
