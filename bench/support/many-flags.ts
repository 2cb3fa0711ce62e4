import type { JsonObject } from "@bufbuild/protobuf";

/** The flag that is switched to and fro. */
export const switchedFlag = "switch";

/**
 * A flag file with so many flags beside `switch`, of the kinds that a grown installation has: half of them switched on or
 * off, a quarter with a rollout, a quarter with two rules of two conditions and a segment.
 */
export function createFlagFile(count: number): JsonObject {
  const flags: JsonObject[] = [toFlag(switchedFlag)];
  const targetings: JsonObject[] = [
    { flagKey: switchedFlag, enabled: true, offVariant: "off", default: { variant: "off" } },
  ];
  for (let index = 0; index < count; index++) {
    const key = `team-${index % 50}.feature-${index}`;
    flags.push(toFlag(key));
    targetings.push({ flagKey: key, enabled: true, offVariant: "off", ...toSettings(index) });
  }
  return { flags, targetings, segments: count > 0 ? [staff] : [] };
}

function toFlag(key: string): JsonObject {
  return {
    key,
    type: "boolean",
    kind: "release",
    description: `What ${key} does, in a sentence as people write them.`,
    owner: "a-team@example.com",
    ticket: "https://tracker.example.com/browse/ABC-123",
    expiresAt: "2030-01-01T00:00:00Z",
    tags: ["web", "checkout"],
    variants: { on: true, off: false },
  };
}

function toSettings(index: number): JsonObject {
  const on = { variant: "on" };
  switch (index % 4) {
    case 0:
      return { default: on };
    case 1:
      return { default: { variant: "off" } };
    case 2:
      return {
        default: {
          rollout: {
            shares: [
              { variant: "on", weight: 25_000 },
              { variant: "off", weight: 75_000 },
            ],
          },
        },
      };
    default:
      return {
        rules: [
          { id: "staff", condition: { segment: "staff" }, serve: on },
          { id: "members", condition: { all: { conditions: [inCountry(index), paying] } }, serve: on },
        ],
        default: { variant: "off" },
      };
  }
}

const inCountry = (index: number): JsonObject => ({
  match: { attribute: "country", operator: "in", values: ["DE", "FR", `X${index}`] },
});
const paying: JsonObject = { match: { attribute: "plan", operator: "in", values: ["pro", "enterprise"] } };
const staff: JsonObject = {
  key: "staff",
  included: ["user-1", "user-2"],
  condition: { match: { attribute: "email", operator: "ends_with", values: ["@example.com"] } },
};
