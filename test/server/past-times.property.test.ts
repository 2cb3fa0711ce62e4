import fc from "fast-check";
import { expect, it } from "vitest";
import { PastTimes } from "../../src/server/past-times.js";
import type { HistoryOutline } from "../../src/store/index.js";

const { signal } = new AbortController();

/** History that keeps so many entries, and counts how often it is asked when each was committed. */
class Kept {
  readonly timesMs: number[] = [];
  readonly reads: number[] = [];

  constructor(readonly maxEntries: number) {}

  edges() {
    const newest = this.timesMs.length;
    return { oldest: BigInt(Math.max(newest - this.maxEntries, 0) + 1), newest: BigInt(newest) };
  }

  async *outlines(before = 0n): AsyncGenerator<HistoryOutline> {
    for (let revision = before - 1n; revision >= this.edges().oldest; revision--) {
      const place = Number(revision) - 1;
      const timeMs = () => {
        this.reads[place] = (this.reads[place] ?? 0) + 1;
        return this.timesMs[place] ?? Number.NaN;
      };
      yield { revision, timeMs, changes: () => [], entry: () => expect.fail("is not read whole") };
    }
  }

  /** By looking at all of them. */
  revisionAt(timeMs: number): bigint | undefined {
    const { oldest, newest } = this.edges();
    for (let revision = newest; revision >= oldest; revision--) {
      if ((this.timesMs[Number(revision) - 1] ?? Number.NaN) <= timeMs) return revision;
    }
    return undefined;
  }
}

it("the revision at a time is found whatever the clock did, and no entry is read twice", async () => {
  const time = fc.integer({ min: 0, max: 2_000 });
  const some = fc.oneof(fc.array(time, { maxLength: 5 }), fc.array(time, { maxLength: 900, size: "max" }));
  const writes = fc.record({ kind: fc.constant("write" as const), timesMs: some });
  const question = fc.record({ kind: fc.constant("ask" as const), timeMs: time });
  const course = fc.array(fc.oneof(writes, question, question), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(course, fc.integer({ min: 1, max: 1_500 }), async (actions, maxEntries) => {
      const kept = new Kept(maxEntries);
      const times = new PastTimes(kept);
      for (const action of actions) {
        if (action.kind === "write") kept.timesMs.push(...action.timesMs);
        else {
          const found = await times.revisionAt(action.timeMs, kept.edges().newest, signal);
          expect(found).toBe(kept.revisionAt(action.timeMs));
        }
      }
      expect(Math.max(0, ...kept.reads.filter((count) => count !== undefined))).toBeLessThanOrEqual(1);
    }),
    { numRuns: 60 },
  );
});

it("nothing is found for nobody, and the next one is answered all the same", async () => {
  const kept = new Kept(10);
  kept.timesMs.push(1, 2, 3);
  const times = new PastTimes(kept);
  expect(await times.revisionAt(1, 3n, AbortSignal.abort())).toBeUndefined();
  expect(await times.revisionAt(1, 3n, signal)).toBe(1n);
});
