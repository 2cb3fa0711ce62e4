import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { createFlagFile } from "../support/many-flags.js";

/** The flag that is evaluated in every case. */
export const probedFlag = "probe";

/** Something that there can be many of: a flag file with few and one with many. */
export interface ScaleCase {
  readonly name: string;
  readonly few: number;
  readonly many: number;
  /** A flag file with so many, in which the probed flag answers true for the callers given. */
  readonly toFile: (count: number) => JsonObject;
  /** How many callers it answers true for, where there are so many. */
  readonly members: (count: number) => number;
}

const membersAmongFlags = 10;
const asMany = (count: number): number => count;

/** By the name that a process is given. */
export const scaleCases: Readonly<Record<string, ScaleCase>> = {
  flags: {
    name: "10,000 flags",
    few: 10,
    many: 10_000,
    toFile: (count) => {
      const probe = toFile({ rules: [toRule(isOneOf(membersAmongFlags))] });
      return joined(createFlagFile(count), probe);
    },
    members: () => membersAmongFlags,
  },
  targets: {
    name: "100,000 targeting keys of a flag",
    few: 10,
    many: 100_000,
    toFile: (count) => toFile({ targets: [{ variant: "on", targetingKeys: keysTo(count) }] }),
    members: asMany,
  },
  values: {
    name: "100,000 values of an `in`",
    few: 10,
    many: 100_000,
    toFile: (count) => toFile({ rules: [toRule(isOneOf(count))] }),
    members: asMany,
  },
  segment: {
    name: "1,000,000 keys of a segment",
    few: 10,
    many: 1_000_000,
    toFile: (count) => ({
      ...toFile({ rules: [toRule({ segment: "many" })] }),
      segments: [{ key: "many", included: keysTo(count) }],
    }),
    members: asMany,
  },
};

/** Of one caller. Those below the number of members are members. */
export function keyOf(index: number): string {
  return `user-${(index * 2_654_435_761) % 4_294_967_296}`;
}

function keysTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => keyOf(index));
}

function isOneOf(count: number): JsonObject {
  return { match: { attribute: "id", operator: "in", values: keysTo(count) } };
}

function toRule(condition: JsonObject): JsonObject {
  return { id: "members", condition, serve: { variant: "on" } };
}

function toFile(settings: JsonObject): JsonObject {
  const flag = { key: probedFlag, kind: "operational", type: "boolean", variants: { on: true, off: false } };
  const targeting = { flagKey: probedFlag, enabled: true, offVariant: "off", default: { variant: "off" } };
  return { flags: [flag], targetings: [{ ...targeting, ...settings }] };
}

function joined(one: JsonObject, other: JsonObject): JsonObject {
  const both = (name: string): JsonValue[] => [one, other].flatMap((file) => (file[name] ?? []) as JsonValue[]);
  return { flags: both("flags"), targetings: both("targetings"), segments: both("segments") };
}
