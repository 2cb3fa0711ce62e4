import { expect, it, onTestFinished } from "vitest";
import { createStoreOwner, openMemoryStore, type Transaction } from "../../src/store/index.js";
import { packTransaction } from "../../src/store/packed-transaction.js";
import { put, transaction } from "./fixtures.js";

it("an owner answers with a revision when that is seen by all, and tells it before", async () => {
  const store = await openMemoryStore();
  onTestFinished(() => store.close());
  const course: string[] = [];
  const owner = createStoreOwner(store, async (revision) => {
    await Promise.resolve();
    course.push(`${revision} is seen`);
  });
  owner.follow(({ newest }) => course.push(`${newest} is told`));
  const commit = async (changes: Transaction["changes"], rest: Partial<Transaction> = {}) => {
    const { kind } = await owner.commit(packTransaction(transaction(changes, rest)));
    course.push(kind);
  };
  const idempotency = { key: "k", fingerprint: "f" };
  await commit([put("a")], { idempotency });
  await commit([put("b")]);
  await commit([put("a")], { idempotency });
  await commit([], { idempotency: { ...idempotency, key: "other" } });
  await commit([put("a")], { preconditions: [{ kind: "head", revision: 1n }] });
  expect(course).toEqual([
    ...["0 is told", "1 is told", "1 is seen", "committed", "2 is told", "2 is seen", "committed"],
    ...["1 is seen", "repeated", "2 is seen", "unchanged", "conflict"],
  ]);
});
