import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Impact } from "../../gen/flagwire/v1/admin_service_pb.js";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Context, Snapshot } from "../../src/engine/index.js";
import { runAtOnce } from "../../src/server/admin/steps.js";
import { countMoves } from "../../src/server/impacts/count-moves.js";
import { anyItems, soundItems, wildItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { position, snapshotOf } from "../engine/build.js";
import { inSegment, match, rule, serve, stringFlag, text } from "./admin-support.js";
import { openAdmin } from "./impacts-support.js";

const NOW = Date.UTC(2026, 5, 1);
const someContexts = fc.array(someContext, { minLength: 1, maxLength: 8 });

/** How many contexts each move of each flag is of, by asking everything. */
function bruteForce(before: Snapshot, after: Snapshot, contexts: readonly Context[], now: number) {
  const counts = new Map<string, number>();
  const changed = new Set<Context>();
  const keys = new Set([...before.flags(), ...after.flags()].map(({ key }) => key));
  for (const context of contexts) {
    for (const key of keys) {
      const [had, gets] = [before, after].map((snapshot) => snapshot.flag(key)?.select(context, now).variant ?? "");
      if (had === gets) continue;
      const name = JSON.stringify([key, had, gets]);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      changed.add(context);
    }
  }
  return { changedContexts: changed.size, counts: Object.fromEntries([...counts].sort()) };
}

it(`counts exactly who gets another variant, whatever changes (seed ${SEED})`, () => {
  const items = fc.oneof(soundItems, wildItems, anyItems);
  fc.assert(
    fc.property(items, items, fc.constantFrom("full", "delta"), someContexts, (first, second, kind, contexts) => {
      const before = snapshotOf(...first);
      const after = before.apply(kind, second, position(2));
      const counted = runAtOnce(countMoves({ before, after, flagKeys: after.changedKeys }, contexts, NOW));
      const counts = counted.flags.flatMap(({ flagKey, moves }) =>
        moves.map((move) => [JSON.stringify([flagKey, move.before, move.after]), move.count] as const),
      );
      const told = {
        changedContexts: counted.changedContexts,
        counts: Object.fromEntries(counts.sort()),
      };
      expect(told).toEqual(bruteForce(before, after, contexts, NOW));
      for (const { moves } of counted.flags) {
        for (const move of moves) expect(move.examples).toHaveLength(Math.min(5, move.count));
      }
    }),
    runs(150),
  );
});

const environments = ["production", "staging"];
const keys = ["a", "b", "c"];
const variants = ["x", "y", "z"];
const contexts = Array.from({ length: 12 }, (_, index) => ({
  targetingKey: `u${index}`,
  plan: ["pro", "free"][index % 2],
}));

const variant = fc.constantFrom(...variants);
const settings = fc.record({
  enabled: fc.boolean(),
  offVariant: variant,
  default: variant.map(serve),
  prerequisites: fc.subarray([{ flagKey: "c", variants: ["x", "y"] }]),
  rules: fc.subarray([
    rule(inSegment("s"), "y", "in-segment"),
    rule(match("plan", Operator.IN, text("pro")), "z", "plan"),
    {
      id: "split",
      condition: { kind: { case: "all" as const, value: {} } },
      serve: {
        kind: {
          case: "rollout" as const,
          value: { shares: variants.map((name, place) => ({ variant: name, weight: place + 1 })) },
        },
      },
    },
  ]),
});

const someTargeting = fc
  .record({ flagKey: fc.constantFrom(...keys), environment: fc.constantFrom(...environments), settings })
  .map(({ flagKey, environment, settings: { prerequisites, ...rest } }) => ({
    flagKey,
    environment,
    ...rest,
    prerequisites: flagKey === "c" ? [] : prerequisites,
  }));

const someFile = fc.record({
  flags: fc.subarray(keys).map((some) => some.map((key) => stringFlag(key, variants))),
  targetings: fc.uniqueArray(someTargeting, {
    selector: ({ flagKey, environment }) => `${flagKey}@${environment}`,
    maxLength: 4,
  }),
  segments: fc
    .subarray(environments)
    .chain((some) =>
      fc.tuple(
        ...some.map((environment) =>
          fc.subarray(["u1", "u2", "u3", "u4"]).map((included) => ({ key: "s", environment, included })),
        ),
      ),
    ),
});

it(`a dry run tells of the very changes that the write then makes (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(someFile, { minLength: 1, maxLength: 3 }), fc.nat(), async (files, choice) => {
      const opened = await openAdmin({ environments });
      const { admin, head } = opened;
      for (const name of environments) opened.contexts.put(name, contexts);
      const all = {
        flags: keys.map((key) => stringFlag(key, variants)),
        segments: environments.map((environment) => ({ key: "s", environment })),
      };
      const agree = async (write: (dryRun: boolean) => Promise<{ readonly impacts: Impact[] }>) => {
        const before = environments.map((name) => head.snapshot(name));
        const { impacts } = await write(true);
        await write(false);
        for (const [index, name] of environments.entries()) {
          const [old, now] = [before[index], head.snapshot(name)];
          if (old === undefined || now === undefined) throw new Error(`there is no ${name}`);
          const expected = bruteForce(old, now, contexts, 0);
          const impact = impacts.find(({ environment }) => environment === name);
          expect(impact?.changedContexts ?? 0).toBe(expected.changedContexts);
          const counts = (impact?.flags ?? []).flatMap(({ flagKey, moves }) =>
            moves.map((move) => [JSON.stringify([flagKey, move.before, move.after]), move.contexts] as const),
          );
          expect(Object.fromEntries(counts.sort())).toEqual(expected.counts);
        }
      };
      const importing = (file: Parameters<typeof create<typeof FlagFileSchema>>[1]) => (dryRun: boolean) =>
        admin.import(
          (async function* () {
            yield { file: create(FlagFileSchema, file), dryRun };
          })(),
        );
      await agree(importing(all));
      const start = head.revision;
      for (const file of files) await agree(importing(file));
      const targeting = files[0]?.targetings[0];
      if (targeting !== undefined) await agree((dryRun) => admin.updateTargeting({ targeting, dryRun }));
      const steps = head.revision - start + 1n;
      await agree((dryRun) => admin.rollback({ toRevision: start + (BigInt(choice) % steps), dryRun }));
    }),
    runs(12),
  );
});
