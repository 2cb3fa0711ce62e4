import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Snapshot } from "../../src/engine/index.js";
import { AllAnswers } from "../../src/server/told-answers.js";
import { flag, position, snapshotOf, value } from "../engine/build.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** A flag whose value is an object, which is another at each revision. */
const changing = (revision: number) =>
  flag("a", { offVariant: "" }, { type: FlagType.OBJECT, variants: { a: value({ revision }) } });

it("a stream that stands still keeps what it was told of, and nothing that others were told of since", async () => {
  const still = snapshotOf(changing(1));
  const kept = followFrom(still);
  await expect
    .poll(() => {
      collectGarbage();
      return kept.filter((part) => part.deref() !== undefined).length;
    })
    .toBe(0);
  expect(still.flag("a")?.select({}, 0).value).toEqual({ revision: 1 });
});

/** Others go on from there; the snapshots and the values that they are told of. */
function followFrom(still: Snapshot): WeakRef<object>[] {
  const told = new AllAnswers({});
  const kept: WeakRef<object>[] = [];
  told.follow({ before: undefined, now: still, nowMs: 0 });
  let before = still;
  for (let revision = 2; revision < 10; revision++) {
    const now = before.apply("delta", [changing(revision)], position(revision));
    const [answer] = told.follow({ before, now, nowMs: 0 }).answers;
    kept.push(new WeakRef(now), new WeakRef(answer?.outcome?.value as object));
    before = now;
  }
  return kept;
}
