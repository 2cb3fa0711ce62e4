import { expect, it } from "vitest";
import { Sequence } from "../../src/base/index.js";

it("does one thing after the other, also after one that failed", async () => {
  const sequence = new Sequence();
  const done: string[] = [];
  const slow = sequence.next(async () => {
    done.push("begun");
    await new Promise(setImmediate);
    done.push("ended");
    throw new Error("no");
  });
  const next = sequence.next(async () => done.push("next"));
  await expect(slow).rejects.toThrow("no");
  expect(await next).toBe(3);
  expect(done).toEqual(["begun", "ended", "next"]);
});
