import { isDeepStrictEqual } from "node:util";
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Context, emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import { anyItemInPlaceOf, keyOf, segmentKeys, soundItems, wildItems } from "./arbitraries.js";
import { runs, SEED } from "./arbitrary-words.js";
import {
  all,
  any,
  deletedFlag,
  deletedSegment,
  environmentState,
  flag,
  inSegment,
  match,
  not,
  position,
  rule,
  segment,
  serve,
  serveRollout,
  share,
  snapshotOf,
  value,
} from "./build.js";
import { dependentsOf } from "./dependents.js";
import { DAMAGES, fieldsWithin, type Site, sitesOf, whileDamaged } from "./sites.js";
import { faultOfSnapshot } from "./well-formed.js";

const NOW = Date.UTC(2026, 5, 1);
const MOMENT = { seconds: 1_767_225_600n, nanos: 5 };
const CONTEXTS: readonly Context[] = [
  {},
  { targetingKey: "u1", plan: "pro", age: 5 },
  { targetingKey: "u2", plan: ["free", null], device: { os: "pro" } },
  { targetingKey: "ejOoVL", age: -1, beta: true },
];

const rollout = { bucketBy: "plan", salt: "salt", algorithm: RolloutAlgorithm.MURMUR3_32 };

/** A flag with something in every field. */
const full = flag(
  "full",
  {
    environment: "production",
    killed: { killedAt: MOMENT, killedBy: "ann", reason: "fire" },
    prerequisites: [{ flagKey: "required", variants: ["a"] }],
    targets: [{ variant: "b", targetingKeys: ["u1", "u2"] }],
    rules: [
      {
        id: "first",
        description: "of everything",
        condition: all(
          any(match("plan", Operator.IN, ["pro", 5, true], { ignoreCase: true }), match("age", Operator.LESS, [5])),
          not(inSegment("segment")),
          share({ weight: 50_000, totalWeight: 100_000, start: 1, ...rollout }),
        ),
        serve: serveRollout({
          shares: [
            { variant: "a", weight: 1 },
            { variant: "c", weight: 2 },
          ],
          ...rollout,
        }),
      },
      rule(match("plan", Operator.MATCHES, ["^pr"]), "second", serve("c")),
    ],
    default: serveRollout({ shares: [{ variant: "off", weight: 1 }] }),
    changedAt: MOMENT,
    changedBy: "ann",
    ramps: [
      {
        ruleId: "first",
        variant: "a",
        fromVariant: "c",
        steps: [{ weight: 1_000, duration: { seconds: 60n, nanos: 5 } }, { weight: 100_000 }],
        currentStep: 1,
        nextStepAt: MOMENT,
        pausedWith: { seconds: 30n, nanos: 5 },
        serveBefore: serve("c"),
        startedAt: MOMENT,
        startedBy: "ann",
      },
    ],
  },
  {
    type: FlagType.STRING,
    kind: FlagKind.RELEASE,
    description: "everything",
    owner: "web",
    tags: ["all"],
    expiresAt: MOMENT,
    ticket: "#1",
    metadata: { team: "web", size: 5, isOld: false },
    createdAt: MOMENT,
    createdBy: "ann",
    changedAt: MOMENT,
    changedBy: "ann",
  },
);

/** The same flag, alive. */
const alive = clone(WatchItemSchema, full);
if (alive.kind.case === "flag") delete alive.kind.value.targeting?.killed;

const object = flag(
  "object",
  {},
  {
    type: FlagType.OBJECT,
    variants: { a: value({ list: [1, null, "x", true], nested: { deep: {} } }), off: value({}) },
  },
);

const everySegment = segment("segment", {
  environment: "production",
  description: "of everything",
  included: ["u1"],
  excluded: ["u2"],
  condition: any(match("plan", Operator.IN, ["pro"]), inSegment("inner")),
  createdAt: MOMENT,
  createdBy: "ann",
  changedAt: MOMENT,
  changedBy: "ann",
});

/** More keys for it. */
const moreKeys = segmentKeys("segment", ["u3", "u4"], ["u2"]);

const environment = environmentState(["email", "user.name"]);

const RICH: readonly WatchItem[] = [
  full,
  environment,
  object,
  everySegment,
  moreKeys,
  flag("required"),
  segment("inner", { included: ["u3"] }),
  flag("user", { rules: [rule(inSegment("segment"))] }),
  flag("dependent", { prerequisites: [{ flagKey: "full", variants: ["a"] }] }),
  flag("other", { rules: [rule(inSegment("others")), rule(match("plan", Operator.IN, ["pro"]), "r2", serve("c"))] }),
  segment("others", { included: ["u1"] }),
];

/** A sound item among others. */
interface Case {
  readonly sound: WatchItem;
  readonly others: readonly WatchItem[];
  readonly before: Snapshot;
  /** The keys of flags that have nothing to do with the item. */
  readonly unrelated: readonly string[];
}

function caseOf(sound: WatchItem, others: readonly WatchItem[]): Case {
  const before = snapshotOf(...others, sound);
  const dependents = dependentsOf(sound, others);
  const unrelated = before.flags().flatMap(({ key }) => (dependents.has(`flag ${key}`) ? [] : [key]));
  return { sound, others, before, unrelated };
}

/** What is wrong with snapshots that a damaged item becomes a part of; undefined if nothing is. */
function faultOf(damaged: WatchItem, { sound, others, before, unrelated }: Case): string | undefined {
  try {
    const delta = before.apply("delta", [damaged], position(2));
    const fault = faultOfSnapshot(delta, CONTEXTS, NOW);
    if (fault !== undefined) return `in a delta: ${fault}`;
    for (const key of unrelated) if (delta.flag(key) !== before.flag(key)) return `${key} is not what it was`;
    const full = emptySnapshot("production").apply("full", [...others, damaged], position(3));
    const faultInFull = faultOfSnapshot(full, CONTEXTS, NOW);
    if (faultInFull !== undefined) return `in full: ${faultInFull}`;
    if (!areAlike(full, before, unrelated)) return "others answer otherwise";
    const healed = delta.apply("delta", [sound], position(4));
    const keys = before.flags().map(({ key }) => key);
    return areAlike(healed, before, keys) ? undefined : "it does not heal";
  } catch (error) {
    return `throws ${error instanceof Error ? error.message : String(error)}`;
  }
}

function areAlike(one: Snapshot, other: Snapshot, keys: readonly string[]): boolean {
  const answers = (snapshot: Snapshot) =>
    keys.map((key) => CONTEXTS.map((context) => snapshot.flag(key)?.select(context, NOW)));
  return isDeepStrictEqual(answers(one), answers(other));
}

/** What comes out of a decoder for a message: undefined for one that no encoder takes. */
function decoded(item: WatchItem): WatchItem | undefined {
  try {
    return fromBinary(WatchItemSchema, toBinary(WatchItemSchema, item));
  } catch {
    return undefined;
  }
}

/** Tries every damage at every site of an item, as it is or as it arrives; one line for each fault. */
function faultsOf(item: WatchItem, about: Case, arrive: (damaged: WatchItem) => WatchItem | undefined) {
  const faults: string[] = [];
  let tried = 0;
  for (const site of sitesOf(WatchItemSchema, item)) {
    for (const damage of DAMAGES) {
      const fault = whileDamaged(site, damage, () => {
        const damaged = arrive(item);
        if (damaged === undefined) return undefined;
        tried++;
        return faultOf(damaged, about);
      });
      if (fault !== undefined) faults.push(`${site.path} = ${damage.name}: ${fault}`);
    }
  }
  return { faults, tried };
}

/** Sound flags and segments, one of them apart. */
const oneOfMany = fc.oneof(soundItems, wildItems).chain((generated) =>
  fc.nat(generated.length - 1).map((at) => {
    const [sound = full] = generated.slice(at);
    return { sound, others: generated.filter((other) => other !== sound) };
  }),
);

const noSite: Site = { path: "", field: "", holder: {}, key: "" };
const items = [...RICH.slice(1), alive];
const cases = [alive, full, object, everySegment, moreKeys, environment].map((item) => {
  const others = items.filter((other) => keyOf(other) !== keyOf(item) || (item === moreKeys && other === everySegment));
  const suffix = item === full ? ", killed" : item === moreKeys ? ", its keys" : "";
  return { name: keyOf(item) + suffix, item, about: caseOf(structuredClone(item), others) };
});

describe(`a damaged message (seed ${SEED})`, () => {
  test("is tried with every field that there is", () => {
    const tried = [...RICH, deletedFlag("x"), deletedSegment("x")].flatMap((item) => sitesOf(WatchItemSchema, item));
    expect(new Set(tried.map(({ field }) => field))).toEqual(new Set(fieldsWithin(WatchItemSchema)));
  });

  test.each(cases)("harms nothing but itself when it is decoded: $name", ({ item, about }) => {
    const { faults, tried } = faultsOf(item, about, decoded);
    expect(faults).toEqual([]);
    expect(tried).toBeGreaterThan(100);
  });

  test.each(cases)("harms nothing but itself, whatever stands in any field: $name", ({ item, about }) => {
    const { faults, tried } = faultsOf(item, about, (damaged) => damaged);
    expect(faults).toEqual([]);
    expect(tried).toBeGreaterThan(200);
  });

  test("harms nothing but itself in any set of flags", () => {
    fc.assert(
      fc.property(oneOfMany, fc.nat(), fc.constantFrom(...DAMAGES), ({ sound, others }, where, damage) => {
        const item = structuredClone(sound);
        const sites = sitesOf(WatchItemSchema, item);
        const [site = noSite] = sites.slice(where % sites.length);
        const fault = whileDamaged(site, damage, () => faultOf(item, caseOf(sound, others)));
        expect({ item: keyOf(sound), path: site.path, damage: damage.name, fault }).toMatchObject({ fault: undefined });
      }),
      runs(500),
    );
  });
});

describe(`a malformed flag or segment (seed ${SEED})`, () => {
  test("leaves all that do not depend on it the very same outcomes, and so does its end", () => {
    const replaced = oneOfMany.chain((about) => anyItemInPlaceOf(about.sound).map((other) => ({ ...about, other })));
    let malformed = 0;
    fc.assert(
      fc.property(replaced, ({ sound, others, other }) => {
        const about = caseOf(sound, others);
        expect(faultOf(other, about)).toBeUndefined();
        const after = about.before.apply("delta", [other], position(2));
        malformed += after.flags().filter(({ problems }) => problems.length > 0).length;
        for (const { key, problems } of after.flags()) if (about.unrelated.includes(key)) expect(problems).toEqual([]);
      }),
      runs(600),
    );
    expect(malformed).toBeGreaterThan(100);
  });
});
