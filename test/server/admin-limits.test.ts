import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import { Problems } from "../../src/engine/problem.js";
import { checkSegment } from "../../src/server/validate/segment.js";
import { Violations } from "../../src/server/validate/violations.js";
import {
  booleanFlag,
  expectRefused,
  invalid,
  match,
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
  it("is limited for a segment, exactly", () => {
    const violationsOf = (included: string[], description = "") => {
      const violations = new Violations();
      const segment = create(SegmentSchema, { key: "s", description, included });
      checkSegment(segment, violations);
      return { list: violations.list, sizeBytes: toBinary(SegmentSchema, segment).length };
    };
    const keys = ["é".repeat(32_766), ...Array.from({ length: 510 }, () => "x".repeat(65_532))];
    const { sizeBytes, list } = violationsOf(keys);
    expect(list).toEqual([]);
    const missing = 32 * 1_048_576 - sizeBytes;
    // The tag and the length of the last key take four bytes.
    const full = [...keys, "x".repeat(missing - 4)];
    expect(violationsOf(full).list).toEqual([]);
    expect(violationsOf(full, "d").list).toEqual([
      { field: "segment", description: "is 33554435 bytes when encoded; 33554432 (32 MiB) is the limit" },
    ]);
  });

  it("is limited for what is not a key of a segment, and for each key", async () => {
    const values = Array.from({ length: 100 }, (_, index) => text(`${index}`.padEnd(32_000, "x")));
    const condition = match("a", Operator.IN, ...values);
    const large = { key: "s", condition };
    await expectRefused(server, () => server.admin.createSegment({ segment: large }), invalid("segment.condition"));
    const long = { key: "s", included: ["a", "x".repeat(65_536), "y".repeat(65_537)] };
    await expectRefused(server, () => server.admin.createSegment({ segment: long }), invalid("segment.included[2]"));
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
