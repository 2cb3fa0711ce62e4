import type { Value } from "@bufbuild/protobuf/wkt";
import { type Condition, type Match, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { Serve } from "../../gen/flagwire/v1/targeting_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import type { Context } from "../../src/engine/index.js";
import { referenceHash } from "./reference.js";

/** What the reference answers; what is absent is undefined. */
export interface ReferenceAnswer {
  readonly reason: string;
  readonly variant?: string;
  readonly ruleId?: string;
  readonly prerequisiteKey?: string;
  readonly errorCode?: string;
}

/**
 * Evaluates sound flags by walking their messages, the plain and slow way that the comments of the proto describe. It has
 * the operators that sound flags are generated with.
 */
export class ReferenceEvaluator {
  constructor(
    readonly items: readonly WatchItem[],
    readonly context: Context,
    readonly now: number,
  ) {}

  evaluate(key: string): ReferenceAnswer {
    const targeting = this.#targeting(key);
    if (targeting === undefined) return { reason: "ERROR", errorCode: "FLAG_NOT_FOUND" };
    const off = targeting.offVariant === "" ? {} : { variant: targeting.offVariant };
    if (targeting.killed) return { ...off, reason: "KILLED" };
    if (!targeting.enabled) return { ...off, reason: "DISABLED" };
    for (const { flagKey, variants } of targeting.prerequisites) {
      const other = this.#targeting(flagKey);
      const { variant } = this.evaluate(flagKey);
      const holds = other?.enabled && !other.killed && variant !== undefined && variants.includes(variant);
      if (!holds) return { ...off, reason: "PREREQUISITE_FAILED", prerequisiteKey: flagKey };
    }
    for (const { variant, targetingKeys } of targeting.targets) {
      if (targetingKeys.includes(String(this.context.targetingKey))) return { variant, reason: "TARGETING_MATCH" };
    }
    for (const { id, condition, serve } of targeting.rules) {
      if (condition && serve && this.#holds(condition, key))
        return { ...this.#serve(serve, key, "TARGETING_MATCH"), ruleId: id };
    }
    const isStatic = [targeting.prerequisites, targeting.targets, targeting.rules].every(({ length }) => length === 0);
    return targeting.default
      ? this.#serve(targeting.default, key, isStatic ? "STATIC" : "DEFAULT")
      : { reason: "DEFAULT" };
  }

  #targeting(key: string) {
    for (const { kind } of this.items) {
      if (kind.case === "flag" && kind.value.flag?.key === key) return kind.value.targeting;
    }
    return undefined;
  }

  #serve({ kind }: Serve, flagKey: string, reason: string): ReferenceAnswer {
    if (kind.case === "variant") return { variant: kind.value, reason };
    if (kind.case !== "rollout") throw new Error("not a sound serve");
    const { shares, bucketBy, salt } = kind.value;
    const total = shares.reduce((sum, { weight }) => sum + weight, 0);
    const bucket = this.#bucket(bucketBy, salt ?? flagKey, total);
    if (bucket === undefined) return { reason: "ERROR", errorCode: "TARGETING_KEY_MISSING" };
    let cumulative = 0;
    for (const { variant, weight } of shares) {
      cumulative += weight;
      if (bucket < cumulative) return { variant, reason: "SPLIT" };
    }
    throw new Error("a bucket is below the total");
  }

  #bucket(bucketBy: string, salt: string, total: number): number | undefined {
    const attribute = this.#attribute(bucketBy || "targetingKey");
    const hashable = typeof attribute === "string" || typeof attribute === "boolean" || Number.isSafeInteger(attribute);
    return hashable ? Number((referenceHash(salt + String(attribute)) * BigInt(total)) >> 32n) : undefined;
  }

  #holds({ kind }: Condition, salt: string): boolean {
    switch (kind.case) {
      case "all":
        return kind.value.conditions.every((condition) => this.#holds(condition, salt));
      case "any":
        return kind.value.conditions.some((condition) => this.#holds(condition, salt));
      case "not":
        return !this.#holds(kind.value, salt);
      case "match":
        return this.#matches(kind.value);
      case "segment":
        return this.#contains(kind.value);
      case "rollout": {
        const { start, weight, totalWeight, bucketBy, salt: own } = kind.value;
        const bucket = this.#bucket(bucketBy, own ?? salt, totalWeight || 100_000);
        return bucket !== undefined && start <= bucket && bucket < start + weight;
      }
      case undefined:
        throw new Error("not a sound condition");
    }
  }

  #contains(key: string): boolean {
    for (const { kind } of this.items) {
      if (kind.case !== "segment" || kind.value.key !== key) continue;
      const { included, excluded, condition } = kind.value;
      const { targetingKey } = this.context;
      if (targetingKey && included.includes(targetingKey)) return true;
      if (targetingKey && excluded.includes(targetingKey)) return false;
      return condition !== undefined && this.#holds(condition, key);
    }
    throw new Error(`there is no segment ${key}`);
  }

  #attribute(name: string): unknown {
    if (name === "$now") return this.now;
    if (name in this.context) return this.context[name];
    let found: unknown = this.context;
    for (const step of name.split(".")) found = (found as Record<string, unknown> | undefined)?.[step];
    return found;
  }

  #matches({ attribute, operator, values, ignoreCase }: Match): boolean {
    const actual = this.#attribute(attribute) ?? undefined;
    if (operator === Operator.EXISTS) return actual !== undefined;
    return [actual]
      .flat()
      .some((element) => values.some((literal) => compare(operator, element, plain(literal), ignoreCase)));
  }
}

function plain({ kind }: Value): unknown {
  return kind.value;
}

function compare(operator: Operator, actual: unknown, literal: unknown, ignoreCase: boolean): boolean {
  if (typeof actual !== typeof literal) return false;
  if (operator === Operator.IN) return fold(actual, ignoreCase) === fold(literal, ignoreCase);
  if (typeof actual === "string" && typeof literal === "string") {
    return compareTexts(operator, String(fold(actual, ignoreCase)), String(fold(literal, ignoreCase)));
  }
  return typeof actual === "number" && typeof literal === "number" && compareNumbers(operator, actual, literal);
}

const fold = (part: unknown, ignoreCase: boolean) =>
  ignoreCase && typeof part === "string" ? part.toLowerCase() : part;

function compareTexts(operator: Operator, actual: string, literal: string): boolean {
  if (operator === Operator.CONTAINS) return actual.includes(literal);
  if (operator === Operator.STARTS_WITH) return actual.startsWith(literal);
  return operator === Operator.ENDS_WITH && actual.endsWith(literal);
}

function compareNumbers(operator: Operator, actual: number, literal: number): boolean {
  switch (operator) {
    case Operator.EQUAL:
      return actual === literal;
    case Operator.LESS:
      return actual < literal;
    case Operator.LESS_OR_EQUAL:
      return actual <= literal;
    case Operator.GREATER:
      return actual > literal;
    case Operator.GREATER_OR_EQUAL:
      return actual >= literal;
    default:
      return false;
  }
}
