import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StartRampRequestSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import { FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type Ramp, type ServeSchema, type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { planRamp } from "../../src/server/ramps/plan-ramp.js";
import { serveAt } from "../../src/server/ramps/ramp-serve.js";
import { takeStep } from "../../src/server/ramps/take-step.js";
import { isRefusal } from "../../src/server/refusal.js";
import { runs } from "../engine/arbitrary-words.js";
import { ask, flag, snapshotOf, value } from "../engine/build.js";

type ServeInit = MessageInitShape<typeof ServeSchema>;

/** A rollout of two pieces at the most, of any weights, in either order, with empty shares anywhere. */
const someRollout: fc.Arbitrary<ServeInit> = fc
  .record({
    grown: fc.nat({ max: 1_000 }),
    rest: fc.integer({ min: 1, max: 1_000 }),
    isReversed: fc.boolean(),
    empties: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
    salt: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
    bucketBy: fc.constantFrom("", "company"),
  })
  .map(({ grown, rest, isReversed, empties, salt, bucketBy }) => {
    const shares = [
      { variant: "a", weight: grown },
      { variant: "b", weight: rest },
    ];
    if (isReversed) shares.reverse();
    for (const variant of empties) shares.push({ variant, weight: 0 });
    return { kind: { case: "rollout", value: { shares, bucketBy, ...(salt !== undefined && { salt }) } } };
  });

const someServe = fc.oneof(someRollout, fc.constant<ServeInit>({ kind: { case: "variant", value: "b" } }));

const someWeights = fc
  .uniqueArray(fc.integer({ min: 1, max: 100_000 }), { minLength: 2, maxLength: 12 })
  .map((weights) => weights.sort((one, other) => one - other));

const stringFlag = create(FlagSchema, {
  key: "f",
  type: FlagType.STRING,
  variants: { a: value("A"), b: value("B") },
});

const users = Array.from({ length: 400 }, (_, index) => ({ targetingKey: `user-${index}`, company: `c-${index}` }));

/** Who gets the variant that grows. */
function holders(targeting: Targeting): ReadonlySet<string> {
  const snapshot = snapshotOf(flag("f", targeting));
  return new Set(users.filter((user) => ask(snapshot, "f", user).variant === "a").map((user) => user.targetingKey));
}

/** The settings before a ramp, at its start and after each of its steps. */
function course(serve: ServeInit, weights: readonly number[]): Targeting[] {
  const before = create(TargetingSchema, { flagKey: "f", enabled: true, default: serve });
  const steps = weights.map((weight, index) => ({
    weight,
    ...(index < weights.length - 1 && { duration: durationFromMs(60_000) }),
  }));
  const wanted = create(StartRampRequestSchema, { variant: "a", fromVariant: "b", steps });
  const ramp = planRamp(stringFlag, before, wanted, { author: "ann", nowMs: 0 });
  if (isRefusal(ramp)) throw new Error(ramp.message);
  return [before, ...stepped(started(before, ramp))];
}

function started(before: Targeting, ramp: Ramp): Targeting {
  return create(TargetingSchema, {
    flagKey: "f",
    enabled: true,
    default: serveAt(ramp, ramp.steps[0]?.weight ?? 0),
    ramps: [ramp],
    revision: before.revision,
  });
}

function stepped(first: Targeting): Targeting[] {
  const all = [first];
  for (let now = first; now.ramps.length > 0; ) {
    now = takeStep(now, "", 0);
    all.push(now);
  }
  return all;
}

/** The share that the variant has already, of 1. */
function shareOf(serve: ServeInit): number {
  const shares = serve.kind?.case === "rollout" ? (serve.kind.value.shares ?? []) : [];
  const sum = (variant?: string) =>
    shares
      .filter((share) => variant === undefined || share.variant === variant)
      .reduce((total, { weight = 0 }) => total + weight, 0);
  return shares.length === 0 ? 0 : sum("a") / sum();
}

test("nobody who has the variant loses it while it grows", () => {
  fc.assert(
    fc.property(someServe, someWeights, (serve, weights) => {
      const [before, ...after] = course(serve, weights);
      const grows = shareOf(serve) <= (weights[0] ?? 0) / 100_000;
      const stages = before !== undefined && grows ? [before, ...after] : after;
      let had: ReadonlySet<string> = new Set();
      for (const stage of stages) {
        const has = holders(stage);
        for (const user of had) expect(has).toContain(user);
        had = has;
      }
      expect(after).toHaveLength(weights.length);
    }),
    runs(60),
  );
});

test("each step gives the variant to its share of the callers, by the salt and the attribute that were there", () => {
  fc.assert(
    fc.property(someRollout, someWeights, (serve, weights) => {
      for (const [index, { default: served }] of course(serve, weights).slice(1).entries()) {
        const kind = served?.kind;
        const weight = weights[index];
        if (weight === 100_000) expect(kind).toEqual({ case: "variant", value: "a" });
        if (kind?.case !== "rollout" || serve.kind?.case !== "rollout") continue;
        expect(kind.value.shares.find(({ variant }) => variant === "a")?.weight).toBe(weight);
        expect(kind.value.shares.reduce((sum, share) => sum + share.weight, 0)).toBe(100_000);
        expect([kind.value.salt, kind.value.bucketBy]).toEqual([serve.kind.value.salt, serve.kind.value.bucketBy]);
      }
    }),
    runs(100),
  );
});
