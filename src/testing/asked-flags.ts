import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Context, EvaluationDetails, ExplainOptions, Explanation, Flags, JsonValue } from "../client/index.js";
import { typeNameOf } from "./test-value.js";

/** A question to flags. */
export interface Question {
  readonly key: string;
  /** The type that the caller wants; undefined: any. */
  readonly type: FlagType | undefined;
  readonly context: Context | undefined;
}

/** Flags that learn of each question before it is answered. */
export abstract class AskedFlags implements Flags {
  /** Who answers it. What it throws reaches the caller. */
  protected abstract answering(question: Question): Flags;

  boolean(key: string, defaultValue: boolean, context?: Context): boolean {
    return this.answering({ key, type: FlagType.BOOLEAN, context }).boolean(key, defaultValue, context);
  }

  string(key: string, defaultValue: string, context?: Context): string {
    return this.answering({ key, type: FlagType.STRING, context }).string(key, defaultValue, context);
  }

  number(key: string, defaultValue: number, context?: Context): number {
    return this.answering({ key, type: FlagType.NUMBER, context }).number(key, defaultValue, context);
  }

  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): T {
    return this.answering({ key, type: FlagType.OBJECT, context }).object(key, defaultValue, context);
  }

  details<T>(key: string, defaultValue: T, context?: Context): EvaluationDetails<T> {
    return this.answering({ key, type: wantedType(defaultValue), context }).details(key, defaultValue, context);
  }

  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Explanation<T> {
    const flags = this.answering({ key, type: wantedType(defaultValue), context });
    return flags.explain(key, defaultValue, context, options);
  }
}

function wantedType(defaultValue: unknown): FlagType | undefined {
  // A mirror takes any object for a default of its type.
  if (typeof defaultValue === "object") return FlagType.OBJECT;
  if (typeof defaultValue === "number") return FlagType.NUMBER;
  const typeName = typeNameOf(defaultValue);
  return typeName === "boolean" ? FlagType.BOOLEAN : typeName === "string" ? FlagType.STRING : undefined;
}
