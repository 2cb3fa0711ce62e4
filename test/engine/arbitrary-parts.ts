import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Condition, ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import { type Serve, ServeSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  anyAttribute,
  anyKey,
  anyText,
  anyValue,
  anyVariant,
  defined,
  someAttribute,
  someNumber,
  someText,
  someVariant,
} from "./arbitrary-words.js";
import { all, any, inSegment, match, not, serve, serveRollout, share, unsetCondition } from "./build.js";

const anyWeight = fc.oneof(fc.nat(5), fc.constantFrom(50_000, 100_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1));
const anyAlgorithm = fc.constantFrom(0, 1, 1, 2, -1, 99).map((number) => number as RolloutAlgorithm);
const anySalt = fc.option(fc.oneof(fc.constantFrom("", "salt"), anyText), { nil: undefined });
const anyBucketBy = fc.oneof(fc.constant(""), anyAttribute);

const anyServe: fc.Arbitrary<Serve> = fc.oneof(
  fc.constant(0).map(() => create(ServeSchema)),
  anyVariant.map(serve),
  fc
    .record({
      shares: fc.array(fc.record({ variant: anyVariant, weight: anyWeight }), { maxLength: 4 }),
      bucketBy: anyBucketBy,
      salt: anySalt,
      algorithm: anyAlgorithm,
    })
    .map((rollout) => serveRollout(defined(rollout))),
);

const anyMatch: fc.Arbitrary<Condition> = fc
  .record({
    attribute: anyAttribute,
    operator: fc.integer({ min: -1, max: 21 }).map((operator) => operator as Operator),
    values: fc.array(anyValue, { maxLength: 3 }),
    ignoreCase: fc.boolean(),
  })
  .map((init) => create(ConditionSchema, { kind: { case: "match", value: init } }));

const anyShare = fc
  .record({
    weight: anyWeight,
    totalWeight: anyWeight,
    start: anyWeight,
    bucketBy: anyBucketBy,
    salt: anySalt,
    algorithm: anyAlgorithm,
  })
  .map((init) => share(defined(init)));

function conditionTree(leaf: fc.Arbitrary<Condition>): fc.Arbitrary<Condition> {
  return fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      leaf,
      tie("condition").map(not),
      fc.array(tie("condition"), { maxLength: 3 }).map((conditions) => all(...conditions)),
      fc.array(tie("condition"), { maxLength: 3 }).map((conditions) => any(...conditions)),
    ),
  })).condition;
}

const someMatch = fc.oneof(
  fc
    .record({
      attribute: someAttribute,
      values: fc.array(fc.oneof(someText, someNumber, fc.boolean()), { minLength: 1, maxLength: 3 }),
      ignoreCase: fc.boolean(),
    })
    .map(({ attribute, values, ignoreCase }) => match(attribute, Operator.IN, values, { ignoreCase })),
  fc
    .record({
      attribute: someAttribute,
      operator: fc.constantFrom(Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH),
      values: fc.array(someText, { minLength: 1, maxLength: 3 }),
      ignoreCase: fc.boolean(),
    })
    .map(({ attribute, operator, values, ignoreCase }) => match(attribute, operator, values, { ignoreCase })),
  fc
    .record({
      attribute: fc.oneof(someAttribute, fc.constant("$now")),
      operator: fc.constantFrom(
        Operator.EQUAL,
        Operator.LESS,
        Operator.LESS_OR_EQUAL,
        Operator.GREATER,
        Operator.GREATER_OR_EQUAL,
      ),
      values: fc.array(someNumber, { minLength: 1, maxLength: 3 }),
    })
    .map(({ attribute, operator, values }) => match(attribute, operator, values)),
  someAttribute.map((attribute) => match(attribute, Operator.EXISTS, [])),
);

const VERSIONS = ["1.2.3", "v1", "1.2.3-rc.1", "0.0.1-alpha.beta+b7"];
const TIMES = ["2026-01-01T00:00:00Z", "1969-12-31t23:59:60.5+14:00", 0, 1_767_225_600_000, -1.5];
const LITERALS: readonly (readonly [operator: Operator, values: readonly (string | number)[]])[] = [
  [Operator.MATCHES, ["^pr", "o$", "", "(?i)P+", ".", "\\pL", "[^a-z]"]],
  [Operator.BEFORE, TIMES],
  [Operator.AFTER, TIMES],
  [Operator.SEMVER_EQUAL, VERSIONS],
  [Operator.SEMVER_LESS, VERSIONS],
  [Operator.SEMVER_LESS_OR_EQUAL, VERSIONS],
  [Operator.SEMVER_GREATER, VERSIONS],
  [Operator.SEMVER_GREATER_OR_EQUAL, VERSIONS],
  [Operator.IN_CIDR, ["10.0.0.0/8", "::/0", "::ffff:10.0.0.0/97", "2001:db8::1"]],
];

/** Sound matches of every operator, of any attribute. */
const wildMatch = fc.oneof(
  fc
    .record({ attribute: anyAttribute.filter((name) => name !== ""), literals: fc.constantFrom(...LITERALS) })
    .chain(({ attribute, literals: [operator, values] }) =>
      fc
        .array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
        .map((chosen) => match(attribute, operator, chosen)),
    ),
  fc
    .tuple(someMatch, anyAttribute)
    .filter(([, name]) => name !== "")
    .map(([condition, attribute]) => {
      const { kind } = condition;
      if (kind.case !== "match") return condition;
      return create(ConditionSchema, { kind: { case: "match", value: { ...kind.value, attribute } } });
    }),
);

const someBucketBy = fc.constantFrom("", "targetingKey", "age", "device.os", "beta");
const someSalt = fc.constantFrom(undefined, "", "salt");
const someShare = fc
  .record({
    cut: fc.tuple(fc.nat(100_000), fc.nat(100_000)),
    bucketBy: someBucketBy,
    salt: someSalt,
  })
  .map(({ cut: [one, other], ...init }) =>
    share(defined({ start: Math.min(one, other), weight: Math.abs(one - other), ...init })),
  );

const someServe: fc.Arbitrary<Serve> = fc.oneof(
  someVariant.map(serve),
  fc
    .record({
      shares: fc
        .array(fc.record({ variant: someVariant, weight: fc.nat(50) }), { minLength: 1, maxLength: 4 })
        .filter((shares) => shares.some(({ weight }) => weight > 0)),
      bucketBy: someBucketBy,
      salt: someSalt,
    })
    .map((rollout) => serveRollout(defined(rollout))),
);

/** Whether flags and segments are as a server lets them pass, or whatever can be put into the messages. */
export interface Parts {
  readonly serve: fc.Arbitrary<Serve>;
  readonly condition: (segments: readonly string[]) => fc.Arbitrary<Condition>;
  readonly variant: fc.Arbitrary<string>;
}

export const garbage: Parts = {
  serve: anyServe,
  condition: () =>
    conditionTree(
      fc.oneof(anyMatch, someMatch, anyShare, someShare, anyKey.map(inSegment), fc.constant(0).map(unsetCondition)),
    ),
  variant: anyVariant,
};

export const sound: Parts = {
  serve: someServe,
  condition: (segments) =>
    conditionTree(
      segments.length === 0
        ? fc.oneof(someMatch, someShare)
        : fc.oneof(someMatch, someShare, fc.constantFrom(...segments).map(inSegment)),
    ),
  variant: someVariant,
};

/** As sound, with every operator and any attribute. */
export const wild: Parts = {
  ...sound,
  condition: (segments) =>
    conditionTree(
      segments.length === 0
        ? fc.oneof(wildMatch, someShare)
        : fc.oneof(wildMatch, wildMatch, someShare, fc.constantFrom(...segments).map(inSegment)),
    ),
};
