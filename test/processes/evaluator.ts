import type { Chance } from "./chance.js";
import { type Connection, connectTo } from "./connection.js";
import { pause } from "./pause.js";
import { ENVIRONMENTS, SHARED_FLAGS } from "./planned-write.js";
import { now } from "./recording.js";
import type { Setting } from "./setting.js";

/** Asks the server for answers, several at one revision, and records them. */
export class Evaluator {
  readonly #connection: Connection;

  constructor(
    readonly name: string,
    port: number,
    readonly setting: Setting,
    readonly chance: Chance,
  ) {
    this.#connection = connectTo(port);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Whatever it is, there is no answer to record.
      await this.#ask().catch(() => this.#connection.drop());
      await pause(this.chance.between(0, 4 * this.setting.pauseMs), signal);
    }
    this.#connection.drop();
  }

  async #ask(): Promise<void> {
    const { recording, epoch, through, writeTimeoutMs } = this.setting;
    const environment = this.chance.oneOf(ENVIRONMENTS);
    const targetingKey = `user-${this.chance.between(0, 9)}`;
    const flagKeys = [...SHARED_FLAGS];
    const calledAt = now();
    const request = { environment, flagKeys, context: { targetingKey } };
    const answer = await this.#connection.evaluation.bulkEvaluate(request, { timeoutMs: writeTimeoutMs });
    const revision = Number(answer.revision);
    const answers = answer.evaluations.map(({ flagKey, variant, reason, error }) => ({
      flagKey,
      targetingKey,
      ...(variant !== "" && { variant }),
      reason: error?.code ?? reason,
    }));
    recording.evaluations.push({
      client: this.name,
      environment,
      calledAt,
      endedAt: now(),
      through,
      epoch,
      revision,
      answers,
    });
    recording.show({ epoch, revision });
  }
}
