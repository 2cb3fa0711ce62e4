import type { EvaluationRecord } from "../history-checker/index.js";
import type { Chance } from "./chance.js";
import type { Plan } from "./plan.js";
import type { SimulatedClock } from "./simulated-clock.js";
import type { SimulatedWorker } from "./simulated-worker.js";

/** Asks a worker for one flag, as Evaluate does; undefined where it has no such environment. */
export function evaluate(
  worker: SimulatedWorker,
  plan: Plan,
  chance: Chance,
  clock: SimulatedClock,
): EvaluationRecord | undefined {
  const environment = chance.pick(plan.environments);
  const flagKey = chance.pick(plan.flagKeys);
  const calledAt = clock.stamp();
  const snapshot = worker.head.snapshot(environment);
  if (snapshot === undefined) return undefined;
  const answers = ["user-1", "user-2"].map((targetingKey) => {
    const outcome = snapshot.flag(flagKey)?.select({ targetingKey }, 0);
    const reason = outcome === undefined ? "FLAG_NOT_FOUND" : (outcome.errorCode ?? outcome.reason);
    return { flagKey, targetingKey, variant: outcome?.variant, reason };
  });
  return {
    client: `caller of ${worker.name}`,
    environment,
    calledAt,
    endedAt: clock.stamp(),
    through: worker.name,
    epoch: snapshot.position.epoch,
    revision: Number(snapshot.position.revision),
    answers,
  };
}
