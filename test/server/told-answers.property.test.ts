import fc from "fast-check";
import { expect, test } from "vitest";
import type { Context, Outcome, Snapshot } from "../../src/engine/index.js";
import { AllAnswers, type AnswerChanges, NamedAnswers, type ToldAnswers } from "../../src/server/told-answers.js";
import { anyChanges, wildItems } from "../engine/arbitraries.js";
import { someContext } from "../engine/arbitrary-contexts.js";
import { PLAIN_KEYS, runs, SEED } from "../engine/arbitrary-words.js";
import { position, snapshotOf } from "../engine/build.js";

const TIMES = [0, Date.UTC(2026, 0, 1), Date.UTC(2100, 0, 1)];

/** Snapshots as a stream may see them: some changes apart, or none, and full reloads that change nothing. */
const history: fc.Arbitrary<Snapshot[]> = fc
  .tuple(wildItems, anyChanges, fc.infiniteStream(fc.nat({ max: 3 })))
  .map(([items, changes, random]) => {
    const snapshots = [snapshotOf(...items)];
    let last = snapshotOf(...items);
    for (const [index, change] of changes.entries()) {
      last = last.apply("delta", [change], position(index + 2));
      const { value: next = 0 } = random.next();
      if (next > 0) snapshots.push(last);
      if (next > 1) snapshots.push(last);
      if (next > 2) snapshots.push(last.apply("full", last.items(), position(index + 2)));
    }
    return snapshots;
  });

/** What a client makes of what it is told. */
class Client {
  readonly answers = new Map<string, Outcome | undefined>();

  take({ answers, removed }: AnswerChanges): void {
    for (const { flagKey, outcome } of answers) this.answers.set(flagKey, outcome);
    for (const key of removed) this.answers.delete(key);
  }
}

function follow(told: ToldAnswers, snapshots: readonly Snapshot[], check: (client: Client, at: number) => void): void {
  const client = new Client();
  let before: Snapshot | undefined;
  for (const [at, now] of snapshots.entries()) {
    const changes = told.follow({ before, now, nowMs: timeAt(at) });
    const keys = changes.answers.map(({ flagKey }) => flagKey);
    expect(keys).toEqual([...keys].sort());
    for (const { flagKey, outcome } of before === undefined ? [] : changes.answers) {
      expect(client.answers.has(flagKey) && client.answers.get(flagKey)).not.toEqual(outcome);
    }
    client.take(changes);
    check(client, at);
    before = now;
  }
}

const timeAt = (at: number): number => TIMES[at % TIMES.length] ?? 0;

function answersOf(snapshot: Snapshot, context: Context, nowMs: number): Map<string, Outcome> {
  return new Map(snapshot.flags().map((flag) => [flag.key, flag.select(context, nowMs)]));
}

test(`a client that follows all flags has the answers of the newest snapshot, and is told nothing twice (seed ${SEED})`, () => {
  fc.assert(
    fc.property(history, someContext, (snapshots, context) => {
      follow(new AllAnswers(context), snapshots, ({ answers }, at) => {
        const [snapshot] = snapshots.slice(at);
        if (snapshot !== undefined) expect(answers).toEqual(answersOf(snapshot, context, timeAt(at)));
      });
    }),
    runs(150),
  );
});

test(`so has one that follows named ones (seed ${SEED})`, () => {
  const names = [...PLAIN_KEYS].reverse();
  fc.assert(
    fc.property(history, someContext, (snapshots, context) => {
      follow(new NamedAnswers(context, names), snapshots, ({ answers }, at) => {
        const expected = names.map((key) => [key, snapshots[at]?.flag(key)?.select(context, timeAt(at))] as const);
        expect(answers).toEqual(new Map(expected));
      });
    }),
    runs(150),
  );
});
