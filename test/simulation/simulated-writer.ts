import { isRefusal, type Refusal } from "../../src/server/refusal.js";
import type { WriteAttempt, WriteOutcome, WriteRecord } from "../history-checker/index.js";
import type { Writable } from "../history-checker/sound-run.js";
import type { Chance } from "./chance.js";
import type { Cluster } from "./cluster.js";
import type { Operation, WriteFields } from "./operations.js";
import type { SimulatedClock } from "./simulated-clock.js";
import type { SimulatedWorker } from "./simulated-worker.js";

/** What a writer works with. */
export interface WriterParts {
  readonly cluster: Cluster;
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly tell: (text: string) => void;
  readonly evaluate: (worker: SimulatedWorker) => void;
}

/** Carries a write out, again and again as long as its outcome is not known, and gives up at some time. */
export async function carryOut(
  id: string,
  operation: Operation,
  parts: WriterParts,
  record: (write: WriteRecord) => void,
): Promise<void> {
  const { cluster, clock, chance, tell } = parts;
  const idempotent = chance.is(0.8);
  const expected = chance.is(0.2) ? cluster.workers[0]?.head.revision : undefined;
  const attempts: Writable<WriteAttempt>[] = [];
  const { mayChangeNothing } = operation;
  record({
    id,
    idempotent,
    mayChangeNothing,
    expectedRevision: expected === undefined ? undefined : Number(expected),
    attempts,
  });
  const fields: WriteFields = {
    idempotencyKey: idempotent ? id : "",
    comment: id,
    ...(expected !== undefined && { expectedRevision: expected }),
  };
  for (let left = chance.integer(1, 4); left > 0; left--) {
    const [worker] = cluster.workers.length === 0 ? [] : [chance.pick(cluster.workers)];
    if (worker !== undefined) {
      const attempt: Writable<WriteAttempt> = {
        calledAt: clock.stamp(),
        through: worker.name,
        outcome: { kind: "unknown", reason: "not answered" },
      };
      attempts.push(attempt);
      attempt.outcome = await call(worker, operation, fields, parts);
      attempt.endedAt = clock.stamp();
      // Whoever has the answer sees the write.
      if (attempt.outcome.kind === "acknowledged") parts.evaluate(worker);
      tell(`${id} (${operation.name}) through ${worker.name}: ${tellOutcome(attempt.outcome)}`);
      if (attempt.outcome.kind !== "unknown") return;
    }
    await clock.sleep(chance.pick([1, 20, 400]));
  }
}

async function call(
  worker: SimulatedWorker,
  operation: Operation,
  fields: WriteFields,
  { chance, clock }: WriterParts,
): Promise<WriteOutcome> {
  const unknown = (reason: string): WriteOutcome => ({ kind: "unknown", reason });
  const fate = chance.weighted({ answered: 20, "lost on its way": 1, "answer lost": 2, "given up": 2 });
  const caller = new AbortController();
  const run = () =>
    operation.run(worker.writes, fields, { signal: caller.signal, header: () => undefined, peer: "127.0.0.1" });
  if (fate === "lost on its way") {
    const lateMs = chance.pick([0, 20, 100, 400, 1_000]);
    if (lateMs === 0) return unknown(fate);
    // Nobody has told the worker that its caller tries again elsewhere: it may have been stopped, with the request unread.
    void clock.sleep(lateMs).then(() => (worker.gone.aborted ? undefined : run()));
    return unknown("late on its way");
  }
  const { epoch } = worker.head;
  const answer = Promise.resolve(run());
  const gone = new Promise<"gone">((resolve) => {
    if (worker.gone.aborted) resolve("gone");
    worker.gone.addEventListener("abort", () => resolve("gone"));
  });
  const bored = fate === "given up" ? clock.sleep(chance.integer(0, 5)).then(() => "given up" as const) : gone;
  const result = await Promise.race([answer, gone, bored]);
  if (result === "gone") return unknown("the worker has gone");
  if (result === "given up") {
    caller.abort();
    return unknown(result);
  }
  if (fate === "answer lost") return unknown(fate);
  if (isRefusal(result)) return toOutcome(result);
  const { revision } = result as { readonly revision: bigint };
  return { kind: "acknowledged", epoch, revision: Number(revision) };
}

/** Only an answer that says so leaves open whether anything was written. */
function toOutcome({ code, reason, message }: Refusal): WriteOutcome {
  if (code === "UNAVAILABLE" && message.includes("not known")) return { kind: "unknown", reason };
  return { kind: "refused", reason };
}

function tellOutcome(outcome: WriteOutcome): string {
  if (outcome.kind === "acknowledged") return `revision ${outcome.revision}`;
  return `${outcome.kind} (${outcome.reason})`;
}
