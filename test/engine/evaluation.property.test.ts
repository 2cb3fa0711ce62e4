import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Context, emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import { anyChanges, anyItems, keyOf, segmentKeys, soundItems, wildItems } from "./arbitraries.js";
import { anyContext, someContext } from "./arbitrary-contexts.js";
import { runs, SEED } from "./arbitrary-words.js";
import { ask, fieldsOf, position, segment, snapshotOf } from "./build.js";
import { digestOf } from "./reference.js";
import { ReferenceEvaluator } from "./reference-evaluator.js";
import { faultOfSnapshot } from "./well-formed.js";

const NOW = Date.UTC(2026, 5, 1);
/** What every object inherits before anything is evaluated, and afterwards. */
const INHERITED = Reflect.ownKeys(Object.prototype);
const someContexts = fc.array(someContext, { minLength: 4, maxLength: 8 });
const anyContexts = fc.array(anyContext, { minLength: 2, maxLength: 4 });

/** Everything that can be seen of a snapshot's flags and segments. */
function observe(snapshot: Snapshot, contexts: readonly Context[]) {
  const items = snapshot.items();
  return {
    digest: snapshot.digest,
    keys: items.map(keyOf),
    segments: items.flatMap(({ kind }) => (kind.case === "segment" ? [snapshot.segmentProblems(kind.value.key)] : [])),
    flags: snapshot.flags().map(({ key, type, usesNow, problems }) => ({ key, type, usesNow, problems })),
    answers: snapshot.flags().map(({ select }) => contexts.map((context) => select(context, NOW))),
  };
}

describe(`for whatever comes (seed ${SEED})`, () => {
  test("applying never throws, and every flag answers every context with one frozen outcome", () => {
    fc.assert(
      fc.property(fc.oneof(anyItems, wildItems), anyContexts, fc.double(), (items, contexts, now) => {
        const snapshot = snapshotOf(...items);
        expect(faultOfSnapshot(snapshot, contexts, now)).toBeUndefined();
        expect(Reflect.ownKeys(Object.prototype)).toEqual(INHERITED);
        for (const { select, problems } of snapshot.flags()) {
          for (const context of contexts) {
            const outcome = select(context, now);
            expect(select(context, now)).toBe(outcome);
            if (outcome.errorCode === "MALFORMED_FLAG") expect(problems).not.toEqual([]);
            else if (problems.length > 0) expect(outcome.reason).toBe("KILLED");
          }
        }
      }),
      runs(1_500),
    );
  });

  test("the order of the items does not matter", () => {
    const shuffled = fc
      .oneof(anyItems, soundItems)
      .chain((items) =>
        fc.tuple(fc.constant(items), fc.shuffledSubarray(items, { minLength: items.length, maxLength: items.length })),
      );
    fc.assert(
      fc.property(shuffled, someContexts, ([items, others], contexts) => {
        expect(observe(snapshotOf(...others), contexts)).toEqual(observe(snapshotOf(...items), contexts));
      }),
      runs(300),
    );
  });

  test("changes one by one or in batches give what their result gives from scratch", () => {
    fc.assert(
      fc.property(anyChanges, fc.integer({ min: 1, max: 4 }), someContexts, (changes, batch, contexts) => {
        const left = new Map<string, (typeof changes)[number]>();
        let snapshot = emptySnapshot("production");
        for (let at = 0; at < changes.length; at += batch) {
          const update = changes.slice(at, at + batch);
          snapshot = snapshot.apply("delta", update, position(at + 1));
          for (const change of update) {
            left.delete(keyOf(change));
            if (change.kind.case === "flag" || change.kind.case === "segment") left.set(keyOf(change), change);
          }
        }
        expect(observe(snapshot, contexts)).toEqual(observe(snapshotOf(...left.values()), contexts));
        expect(snapshot.digest).toBe(digestOf([...left.values()]));
      }),
      runs(300),
    );
  });

  test("the keys of a segment that come apart make it what it is when they come together", () => {
    const cut = (keys: readonly string[], parts: number) =>
      Array.from({ length: parts }, (_, at) => keys.filter((_key, index) => index % parts === at));
    fc.assert(
      fc.property(
        fc.oneof(soundItems, wildItems),
        fc.integer({ min: 1, max: 4 }),
        someContexts,
        (items, parts, contexts) => {
          const apart = items.flatMap((item) => {
            if (item.kind.case !== "segment") return [item];
            const { included, excluded, ...rest } = item.kind.value;
            const [first = [], ...moreIncluded] = cut(included, parts);
            const [firstExcluded = [], ...moreExcluded] = cut(excluded, parts);
            const more = moreIncluded.map((keys, at) => segmentKeys(rest.key, keys, moreExcluded[at] ?? []));
            return [segment(rest.key, { ...rest, included: first, excluded: firstExcluded }), ...more];
          });
          const [one, other] = [snapshotOf(...apart), snapshotOf(...items)].map((made) => observe(made, contexts));
          expect(one).toEqual(other);
        },
      ),
      runs(200),
    );
  });

  test("a flag that is not among the changed keys is the one that it was", () => {
    fc.assert(
      fc.property(anyChanges, anyChanges, (first, second) => {
        const before = emptySnapshot("production").apply("delta", first, position(1));
        const after = before.apply("delta", second, position(2));
        for (const { key } of [...before.flags(), ...after.flags()]) {
          expect(after.changedKeys.has(key)).toBe(before.flag(key) !== after.flag(key));
        }
      }),
      runs(200),
    );
  });

  test("an old snapshot answers as before, however many updates were made of it", () => {
    fc.assert(
      fc.property(soundItems, anyChanges, someContexts, (items, changes, contexts) => {
        const snapshot = snapshotOf(...items);
        const before = observe(snapshot, contexts);
        let next = snapshot;
        for (const change of changes) next = next.apply("delta", [change], position(2));
        snapshot.apply("full", changes, position(3));
        expect(observe(snapshot, contexts)).toEqual(before);
      }),
      runs(200),
    );
  });

  test("a snapshot's items make it again", () => {
    fc.assert(
      fc.property(anyItems, someContexts, (items, contexts) => {
        const snapshot = snapshotOf(...items);
        expect(observe(snapshotOf(...snapshot.items()), contexts)).toEqual(observe(snapshot, contexts));
      }),
      runs(200),
    );
  });
});

describe(`sound flags (seed ${SEED})`, () => {
  test("have no problems, and no error but a missing key to bucket by", () => {
    fc.assert(
      fc.property(fc.oneof(soundItems, wildItems), someContexts, (items, contexts) => {
        const snapshot = snapshotOf(...items);
        for (const { key } of snapshot.flags()) {
          expect(fieldsOf(snapshot, key)).toEqual([]);
          for (const context of contexts) {
            expect([undefined, "TARGETING_KEY_MISSING"]).toContain(ask(snapshot, key, context, NOW).errorCode);
          }
        }
      }),
      runs(300),
    );
  });

  test("answer as a plain reading of the contract does", () => {
    fc.assert(
      fc.property(soundItems, someContexts, (items, contexts) => {
        const snapshot = snapshotOf(...items);
        for (const context of contexts) {
          const reference = new ReferenceEvaluator(items, context, NOW);
          for (const { key } of snapshot.flags()) {
            const { reason, variant, ruleId, prerequisiteKey, errorCode } = ask(snapshot, key, context, NOW);
            expect({ reason, variant, ruleId, prerequisiteKey, errorCode }).toEqual({
              variant: undefined,
              ruleId: undefined,
              prerequisiteKey: undefined,
              errorCode: undefined,
              ...reference.evaluate(key),
            });
          }
        }
      }),
      runs(400),
    );
  });
});
