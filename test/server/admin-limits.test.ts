import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { Problems } from "../../src/engine/problem.js";
import {
  booleanFlag,
  expectRefused,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  rule,
  stringFlag,
  text,
} from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

describe("the size of a record", () => {
  it("is limited for a segment, so that every client can read it back", async () => {
    const keys = (count: number) =>
      Array.from({ length: count }, (_, index) => `user-${String(index).padStart(9, "0")}`);
    const segment = (count: number) => ({ key: "s", included: keys(count) });
    const bytes = (count: number) => toBinary(SegmentSchema, create(SegmentSchema, segment(count))).length;
    const large = 200_000;
    expect(bytes(large)).toBeGreaterThan(3 * 1_048_576);
    expect(bytes(large)).toBeLessThan(4 * 1_048_576);
    const error = await expectRefused(
      server,
      () => server.admin.createSegment({ segment: segment(large) }),
      invalid("segment"),
    );
    expect(error.rawMessage).toContain("3145728 (3 MiB)");
    await server.admin.createSegment({ segment: segment(190_000) });
    expect((await server.admin.getSegment({ key: "s" })).segment?.included).toHaveLength(190_000);
  });

  it("is limited for a flag and for its settings", async () => {
    const flag = (length: number) => stringFlag("a", [], { variants: { v: text("x".repeat(length)) } });
    await expectRefused(server, () => server.admin.createFlag({ flag: flag(1_572_864) }), invalid("flag"));
    await server.admin.createFlag({ flag: flag(1_500_000) });
    const targetingKeys = (count: number) => Array.from({ length: count }, (_, index) => `${index}`.padStart(28, "0"));
    const update = (count: number) =>
      server.admin.updateTargeting({
        targeting: { flagKey: "a", targets: [{ variant: "v", targetingKeys: targetingKeys(count) }] },
      });
    await expectRefused(server, () => update(75_000), invalid("targeting"));
    await update(69_000);
    // The most that a flag can be with its settings is what a client takes in one message.
    expect((await server.admin.listFlags({})).flags).toHaveLength(1);
  });
});

describe("the limits of small fields", () => {
  const everyoneBy = (bucketBy: string, salt: string) => ({
    kind: { case: "rollout" as const, value: { weight: 1, bucketBy, salt } },
  });

  it("hold for what a condition hashes", async () => {
    const long = "x".repeat(257);
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const update = (name: string) =>
      server.admin.updateTargeting({ targeting: { flagKey: "a", rules: [rule(everyoneBy(name, name), "on")] } });
    const fields = ["bucket_by", "salt"].map((name) => `targeting.rules[0].condition.rollout.${name}`);
    await expectRefused(server, () => update(long), invalid(...fields));
    await update(long.slice(1));
  });

  it("hold for the keys of metadata", async () => {
    const key = "k".repeat(129);
    const flag = booleanFlag("a", { metadata: { [key]: 1 } });
    await expectRefused(server, () => server.admin.createFlag({ flag }), invalid(`flag.metadata["${key}"]`));
    await server.admin.createFlag({ flag: booleanFlag("a", { metadata: { [key.slice(1)]: 1 } }) });
  });

  it("keep every control character out of labels", async () => {
    for (const control of ["\u0000", "\u001f", "\u007f", "\u0085", "\u009f"]) {
      const flag = booleanFlag("a", { tags: [`a${control}b`] });
      await expectRefused(server, () => server.admin.createFlag({ flag }), invalid("flag.tags[0]"));
    }
  });

  it("do not take a blank for an owner", async () => {
    const expiresAt = { seconds: 4_000_000_000n };
    const flag = booleanFlag("a", { kind: 1, owner: " ", expiresAt });
    await expectRefused(server, () => server.admin.createFlag({ flag }), invalid("flag.owner"));
  });

  it("want each variant of a prerequisite once", async () => {
    for (const key of ["a", "b"]) await server.admin.createFlag({ flag: booleanFlag(key) });
    const prerequisites = [{ flagKey: "b", variants: ["on", "off", "on"] }];
    const update = () => server.admin.updateTargeting({ targeting: { flagKey: "a", prerequisites } });
    await expectRefused(server, update, invalid("targeting.prerequisites[0].variants"));
  });
});

describe("more wrong than can be told", () => {
  it("is counted, for a record with a hundred thousand wrong fields", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const targets = [{ variant: "on", targetingKeys: Array.from({ length: 100_000 }, () => "") }];
    const { fields, error } = await refusalOf(server.admin.updateTargeting({ targeting: { flagKey: "a", targets } }));
    expect(fields.length).toBeLessThanOrEqual(101);
    expect(error.rawMessage).toContain("targeting.targets[0].targeting_keys[0]");
  });

  it("keeps the first problem of every field, whichever come before", () => {
    const problems = new Problems();
    for (let index = 0; index < 1_000; index++) problems.add(`targeting.rules[${index}].serve`, "is required");
    problems.add("targeting.off_variant", "is unknown");
    problems.add("targeting.rules[1000].serve", "is required");
    const { list } = problems;
    expect(list).toHaveLength(102);
    expect(list.at(-2)).toEqual({ field: "targeting.off_variant", description: "is unknown" });
    expect(list.at(-1)).toEqual({ field: "targeting.rules", description: "and 901 more problems" });
  });
});
