import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RuleSchema, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { garbage, type Parts, sound, wild } from "./arbitrary-parts.js";
import { anyKey, anyValue, anyVariant, defined, maybe, PLAIN_KEYS, someTargetingKey } from "./arbitrary-words.js";
import { deletedFlag, deletedSegment, flag, segment, value } from "./build.js";

const revision = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const mostly = <T>(usual: T, other: T) => fc.constantFrom(...new Array<T>(9).fill(usual), other);

function targetingOf(parts: Parts, flags: fc.Arbitrary<string>, segments: readonly string[]) {
  const prerequisite = fc.record({
    flagKey: flags,
    variants: fc.array(parts.variant, { minLength: parts !== garbage ? 1 : 0, maxLength: 6 }),
  });
  const rule = fc.record({
    condition: maybeUnless(parts !== garbage, parts.condition(segments)),
    serve: maybeUnless(parts !== garbage, parts.serve),
  });
  return fc
    .record({
      enabled: mostly(true, false),
      killed: mostly(undefined, {}),
      offVariant: fc.oneof(fc.constant(""), parts.variant),
      prerequisites: fc.oneof(
        { weight: 2, arbitrary: fc.constant<{ flagKey: string; variants: string[] }[]>([]) },
        fc.array(prerequisite, { maxLength: 2 }),
      ),
      targets: fc.array(
        fc.record({
          variant: parts.variant,
          targetingKeys: fc.array(someTargetingKey, { minLength: parts !== garbage ? 1 : 0, maxLength: 2 }),
        }),
        { maxLength: 2 },
      ),
      rules: fc.array(rule, { maxLength: 3 }),
      default: maybe(parts.serve),
      revision,
    })
    .map(({ rules, ...targeting }) =>
      create(TargetingSchema, {
        ...defined(targeting),
        rules: rules.map((init, index) => create(RuleSchema, { id: `r${index}`, ...defined(init) })),
      }),
    );
}

function maybeUnless<T>(always: boolean, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return always ? arbitrary : fc.option(arbitrary, { nil: undefined, freq: 9 });
}

/** A flag, with everything that a message can hold in it. */
function anyFlag(key: fc.Arbitrary<string>): fc.Arbitrary<WatchItem> {
  const flagMessage = fc.record({
    key,
    type: fc.oneof(mostly(2, 4), mostly(2, 99), fc.integer({ min: -1, max: 5 })).map((type) => type as FlagType),
    variants: fc.oneof(
      { weight: 9, arbitrary: fc.constant({ a: value("A"), b: value("B"), c: value("C"), off: value("OFF") }) },
      { weight: 1, arbitrary: fc.dictionary(anyVariant, anyValue, { maxKeys: 4 }) },
    ),
    metadata: fc.oneof(
      mostly<{ team: string | number } | undefined>({ team: "web" }, { team: Number.NaN }),
      fc.constant(undefined),
    ),
    revision,
  });
  return fc
    .record({
      key,
      flag: maybeUnless(false, flagMessage),
      targeting: maybeUnless(
        false,
        fc.oneof(targetingOf(garbage, anyKey, []), targetingOf(wild, anyKey.filter(Boolean), ["x", "y", "z"])),
      ),
    })
    .map(({ key, flag, targeting }) => {
      if (flag !== undefined) flag.key = key;
      if (targeting !== undefined) targeting.flagKey = key;
      const state = defined({ flag: flag && defined(flag), targeting });
      return create(WatchItemSchema, { kind: { case: "flag", value: state } });
    });
}

function anySegment(key: fc.Arbitrary<string>): fc.Arbitrary<WatchItem> {
  return fc
    .record({
      key,
      included: fc.array(someTargetingKey, { maxLength: 2 }),
      excluded: fc.array(someTargetingKey, { maxLength: 2 }),
      condition: maybe(fc.oneof(garbage.condition([]), wild.condition(["x", "y"]))),
      revision,
    })
    .map(({ key, ...init }) => segment(key, defined(init)));
}

/** More keys of a segment, which follow it. */
export function segmentKeys(segmentKey: string, included: string[], excluded: string[]): WatchItem {
  return create(WatchItemSchema, { kind: { case: "segmentKeys", value: { segmentKey, included, excluded } } });
}

/** The key of an item, telling flags from segments. */
export function keyOf({ kind }: WatchItem): string {
  switch (kind.case) {
    case "flag":
      return `flag ${kind.value.flag?.key ?? kind.value.targeting?.flagKey ?? ""}`;
    case "segment":
      return `segment ${kind.value.key}`;
    case "deletedFlagKey":
      return `flag ${kind.value}`;
    case "deletedSegmentKey":
      return `segment ${kind.value}`;
    case "segmentKeys":
      return `segment ${kind.value.segmentKey}`;
    case "environment":
      return "environment";
    case undefined:
      return "unknown";
  }
}

const anyItem = fc.oneof(anyFlag(anyKey), anySegment(anyKey));

/** Any flag or segment of the key of another, most likely malformed, or the end of it. */
export function anyItemInPlaceOf({ kind }: WatchItem): fc.Arbitrary<WatchItem> {
  if (kind.case === "segment") {
    const { key } = kind.value;
    return fc.oneof({ weight: 9, arbitrary: anySegment(fc.constant(key)) }, fc.constant(deletedSegment(key)));
  }
  const key = kind.case === "flag" ? (kind.value.flag?.key ?? "") : "";
  return fc.oneof({ weight: 9, arbitrary: anyFlag(fc.constant(key)) }, fc.constant(deletedFlag(key)));
}

/** Any flags and segments, most of them malformed in one way or another; none twice. */
export const anyItems: fc.Arbitrary<WatchItem[]> = fc.uniqueArray(anyItem, { maxLength: 10, selector: keyOf });

/** Sound flags, requiring each other and using segments that use each other, without cycles. */
export const soundItems: fc.Arbitrary<WatchItem[]> = acyclic(sound);

/** Sound flags and segments as well, with every operator and any attribute. */
export const wildItems: fc.Arbitrary<WatchItem[]> = acyclic(wild);

function acyclic(parts: Parts): fc.Arbitrary<WatchItem[]> {
  return fc
    .tuple(
      ...PLAIN_KEYS.map((key, index) => flagOf(parts, key, PLAIN_KEYS.slice(index + 1))),
      ...PLAIN_KEYS.map((key, index) => segmentOf(parts, key, PLAIN_KEYS.slice(index + 1))),
    )
    .map((items) => [...items]);
}

function flagOf(parts: Parts, key: string, others: readonly string[]): fc.Arbitrary<WatchItem> {
  // One that does not exist is sound as well: it fails.
  const required = fc.constantFrom(...others, ...others, "gone");
  return targetingOf(parts, required, PLAIN_KEYS).map((targeting) => {
    const item = flag(key);
    targeting.flagKey = key;
    if (item.kind.case === "flag") item.kind.value.targeting = targeting;
    return item;
  });
}

function segmentOf(parts: Parts, key: string, others: readonly string[]): fc.Arbitrary<WatchItem> {
  return fc
    .record({
      included: fc.array(someTargetingKey, { maxLength: 2 }),
      excluded: fc.array(someTargetingKey, { maxLength: 2 }),
      condition: maybe(parts.condition(others)),
    })
    .map((init) => segment(key, defined(init)));
}

/** Changes as they come one after another: flags and segments, sound or not, and the ends of some. */
export const anyChanges: fc.Arbitrary<WatchItem[]> = fc
  .tuple(
    fc.array(fc.oneof(anyItem, anyItem, anyKey.map(deletedFlag), anyKey.map(deletedSegment)), { maxLength: 12 }),
    soundItems,
    fc.infiniteStream(fc.nat()),
  )
  .map(([changes, items, random]) => {
    const mixed = [...changes, ...items];
    return mixed
      .map((item) => ({ item, at: random.next().value ?? 0 }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  });
