import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Clock } from "../base/index.js";
import type { Context, JsonValue } from "../engine/index.js";
import { type EvaluationDetails, errorDetails, toDetails, typeMismatch } from "./details.js";
import type { Follower } from "./follower.js";
import type { Flags } from "./mirror-api.js";

const NO_CONTEXT: Context = Object.freeze({});

/** Answers from a follower's newest snapshot. */
export class SnapshotFlags implements Flags {
  readonly #follower: Follower;
  readonly #clock: Clock;

  constructor(follower: Follower, clock: Clock) {
    this.#follower = follower;
    this.#clock = clock;
  }

  boolean(key: string, defaultValue: boolean, context?: Context): boolean {
    const value = this.#value(key, FlagType.BOOLEAN, context);
    return value === undefined ? defaultValue : (value as boolean);
  }

  string(key: string, defaultValue: string, context?: Context): string {
    const value = this.#value(key, FlagType.STRING, context);
    return value === undefined ? defaultValue : (value as string);
  }

  number(key: string, defaultValue: number, context?: Context): number {
    const value = this.#value(key, FlagType.NUMBER, context);
    return value === undefined ? defaultValue : (value as number);
  }

  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T {
    const value = this.#value(key, FlagType.OBJECT, context);
    return value === undefined ? defaultValue : (value as T);
  }

  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T> {
    const revision = Number(this.#follower.snapshot.position.revision);
    if (!this.#follower.hasData) {
      return errorDetails(key, defaultValue, "PROVIDER_NOT_READY", "no flags came from the server yet", revision);
    }
    try {
      const flag = this.#follower.snapshot.flag(key);
      if (flag === undefined) {
        return errorDetails(key, defaultValue, "FLAG_NOT_FOUND", `there is no flag ${key}`, revision);
      }
      const outcome = flag.select(context ?? NO_CONTEXT, flag.usesNow ? this.#clock.now() : 0);
      // Without a value nothing is of the wrong type, and the outcome says more.
      const mismatch = outcome.value === undefined ? undefined : typeMismatch(key, flag.type, defaultValue);
      if (mismatch !== undefined) return errorDetails(key, defaultValue, "TYPE_MISMATCH", mismatch, revision);
      return toDetails(outcome, defaultValue, revision);
    } catch {
      return errorDetails(key, defaultValue, "GENERAL", "the context or the key threw while it was read", revision);
    }
  }

  #value(key: string, type: FlagType, context: Context | undefined): JsonValue | undefined {
    const flag = this.#follower.snapshot.flag(key);
    if (flag === undefined || flag.type !== type) return undefined;
    try {
      return flag.select(context ?? NO_CONTEXT, flag.usesNow ? this.#clock.now() : 0).value;
    } catch {
      // The context threw, such as from a getter. Nothing of the engine throws.
      return undefined;
    }
  }
}
