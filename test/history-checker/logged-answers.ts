import { create } from "@bufbuild/protobuf";
import { PositionSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import type { EnvironmentLog } from "./environment-log.js";
import type { AnswerRecord } from "./history.js";

/** Answers from what the log had at a revision. Flags that ask for the time have no answer of their own. */
export class LoggedAnswers {
  readonly #snapshots = new WeakMap<EnvironmentLog, Map<number, Snapshot>>();

  /** What is wrong with an answer at a revision; undefined: nothing. */
  objection(answer: AnswerRecord, environment: EnvironmentLog, revision: number): string | undefined {
    const { flagKey, targetingKey, variant, reason } = answer;
    const flag = this.#snapshot(environment, revision).flag(flagKey);
    if (flag?.usesNow) return undefined;
    const outcome = flag?.select({ targetingKey }, 0);
    const expected = outcome === undefined ? "no flag" : tell(outcome.variant, outcome.errorCode ?? outcome.reason);
    const found = outcome === undefined && reason === "FLAG_NOT_FOUND" ? "no flag" : tell(variant, reason);
    if (found === expected) return undefined;
    return `${flagKey} for ${targetingKey} is ${found} at revision ${revision} and should be ${expected}`;
  }

  #snapshot(environment: EnvironmentLog, revision: number): Snapshot {
    const snapshots = this.#snapshots.get(environment) ?? new Map<number, Snapshot>();
    this.#snapshots.set(environment, snapshots);
    const known = snapshots.get(revision);
    if (known !== undefined) return known;
    const items = [...environment.items(revision).values()].map(({ item }) => item);
    const made = emptySnapshot("").apply("full", items, create(PositionSchema));
    snapshots.set(revision, made);
    return made;
  }
}

function tell(variant: string | undefined, reason: string): string {
  return `${variant ?? "the default"} (${reason})`;
}
