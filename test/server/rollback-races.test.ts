import { expect, it, onTestFinished } from "vitest";
import { openMemoryStore, type Store } from "../../src/store/index.js";
import { booleanFlag } from "./admin-support.js";
import { JumpingClock, type RampServer, serveStore, targetingOf } from "./ramps-support.js";

const enable = ({ admin }: RampServer, flagKey: string) =>
  admin.updateTargeting({ targeting: { flagKey, enabled: true }, updateMask: { paths: ["enabled"] } });

/** A store of which only the first reader, the head, learns what happens, and that lets `first` go before a rollback's commit. */
function withSlowReaders(store: Store, first: () => Promise<unknown>): Store {
  let tails = 0;
  let isFirst = true;
  const tail: Store["tail"] = (revision, signal) =>
    tails++ === 0 ? store.tail(revision, signal) : nothingUntil(signal);
  const commit: Store["commit"] = async (transaction) => {
    const goesFirst = isFirst && transaction.comment.startsWith("rollback");
    if (goesFirst) isFirst = false;
    if (goesFirst) await first();
    return store.commit(transaction);
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === "tail") return tail;
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function* nothingUntil(signal: AbortSignal): AsyncGenerator<never> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

it("a rollback takes back too what was written while it was on its way, though it had not heard of that", async () => {
  const memory = await openMemoryStore();
  onTestFinished(() => memory.close());
  const server = await serveStore(
    withSlowReaders(memory, () => enable(server, "b")),
    new JumpingClock(),
  );
  onTestFinished(() => server.stop());
  for (const key of ["a", "b"]) await server.admin.createFlag({ flag: booleanFlag(key) }); // 2 and 3
  await enable(server, "a");
  const { changes, revision } = await server.admin.rollback({ toRevision: 3n });
  expect(revision).toBe(6n);
  expect(changes.map(({ key }) => key)).toEqual(["a", "b"]);
  expect((await targetingOf(server, "b")).enabled).toBe(false);
});
