import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { WriteAttempt, WriteOutcome } from "../history-checker/index.js";
import type { Chance } from "./chance.js";
import { type Connection, connectTo } from "./connection.js";
import { pause } from "./pause.js";
import { type PlannedWrite, planWrite } from "./planned-write.js";
import { now } from "./recording.js";
import type { Setting } from "./setting.js";

/** Writes, one after the other, and tries again what came to no certain end. */
export class Writer {
  readonly #connection: Connection;
  /** The newest revision that it was answered with. */
  #seen: number;
  #writes = 0;

  constructor(
    readonly name: string,
    port: number,
    readonly setting: Setting,
    readonly chance: Chance,
  ) {
    this.#connection = connectTo(port);
    this.#seen = setting.recording.shown?.revision ?? 1;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const plan = planWrite(`${this.name}-${this.#writes++}`, this.#seen, this.chance);
      await this.#carryOut(plan, signal);
      await pause(this.chance.between(0, this.setting.pauseMs), signal);
    }
    this.#connection.drop();
  }

  async #carryOut(plan: PlannedWrite, signal: AbortSignal): Promise<void> {
    const attempts: WriteAttempt[] = [];
    const { id, expectedRevision, mayChangeNothing } = plan;
    // Recorded before it is called: whoever stops the run in between must know of it.
    this.setting.recording.writes.push({ id, idempotent: true, expectedRevision, mayChangeNothing, attempts });
    for (;;) {
      const attempt = await this.#attempt(plan);
      attempts.push(attempt);
      const { kind } = attempt.outcome;
      if (kind === "unknown") this.setting.recording.uncertain++;
      if (kind === "acknowledged" && attempts.length === 1) this.setting.recording.acknowledged++;
      // An answer may be asked for again too, and a caller may give up.
      const repeats = kind === "unknown" ? !this.chance.happens(0.1) : this.chance.happens(0.03);
      if (signal.aborted || !repeats) return;
      await pause(this.chance.between(5, 60), signal);
    }
  }

  async #attempt(plan: PlannedWrite): Promise<WriteAttempt> {
    const { through, writeTimeoutMs } = this.setting;
    const calledAt = now();
    const outcome = await this.#call(plan, writeTimeoutMs);
    return { calledAt, endedAt: now(), through, outcome };
  }

  async #call(plan: PlannedWrite, timeoutMs: number): Promise<WriteOutcome> {
    const { epoch, recording } = this.setting;
    try {
      const answer = await plan.make(this.#connection.admin, { timeoutMs });
      const revision = Number(answer.revision);
      this.#seen = Math.max(this.#seen, revision);
      recording.show({ epoch, revision });
      return { kind: "acknowledged", epoch, revision };
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const [info] = error.findDetails(ErrorInfoSchema);
      const reason = `${info?.reason ?? error.code} ${error.rawMessage}`;
      if (promisesNothing(info?.reason, error.rawMessage)) return { kind: "refused", reason };
      // Its connection may be half-open.
      this.#connection.drop();
      return { kind: "unknown", reason };
    }
  }
}

const REFUSALS = new Set(["REVISION_CONFLICT", "FLAG_EXISTS", "TOO_MANY_CONFLICTS", "INVALID_FIELDS", "DISK_FULL"]);

/** Whether an error is the server's promise that nothing was written. */
function promisesNothing(reason: string | undefined, message: string): boolean {
  return reason !== undefined && (REFUSALS.has(reason) || message.includes("nothing was changed"));
}
