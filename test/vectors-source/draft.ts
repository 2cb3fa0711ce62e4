import type { Answer, Context, Json, JsonObject, Refused, VectorCase, VectorFile } from "./vector-file.js";

const FLAG_TYPES: Readonly<Record<string, string>> = {
  boolean: "FLAG_TYPE_BOOLEAN",
  string: "FLAG_TYPE_STRING",
  number: "FLAG_TYPE_NUMBER",
  object: "FLAG_TYPE_OBJECT",
};

export const onOff: JsonObject = { on: true, off: false };

/** How a flag differs from a boolean one of the variants `on` and `off`. */
export interface FlagParts {
  readonly variants?: JsonObject;
  readonly metadata?: JsonObject;
  /** For flags that are not sound: more fields of the flag, in protobuf's JSON form. */
  readonly fields?: JsonObject;
}

/** What a segment has, in protobuf's JSON form. */
export interface SegmentParts {
  readonly included?: readonly string[];
  readonly excluded?: readonly string[];
  readonly condition?: JsonObject;
}

/** Collects a file of vectors. All its keys begin with the file's prefix, so that files can share a server. */
export class Draft {
  readonly #flags: JsonObject[] = [];
  readonly #targetings: JsonObject[] = [];
  readonly #segments: JsonObject[] = [];
  readonly #cases: VectorCase[] = [];
  readonly #refused = { flags: new Set<string>(), segments: new Set<string>() };

  constructor(
    readonly prefix: string,
    readonly description: string,
  ) {}

  key(name: string): string {
    return `${this.prefix}-${name}`;
  }

  /** Adds a flag with its targeting, or without one; returns its key. */
  flag(name: string, targeting?: JsonObject, { variants = onOff, metadata, fields }: FlagParts = {}): string {
    const key = this.key(name);
    const type = FLAG_TYPES[typeof Object.values(variants)[0]] ?? "";
    const kind = "FLAG_KIND_OPERATIONAL";
    this.#flags.push({ key, type, kind, variants, ...(metadata && { metadata }), ...fields });
    if (targeting !== undefined) this.#targetings.push({ flagKey: key, ...targeting });
    return key;
  }

  /** Adds a segment; returns its key. */
  segment(name: string, parts: SegmentParts): string {
    const key = this.key(name);
    this.#segments.push({ key, ...(parts as JsonObject) });
    return key;
  }

  answers(flagKey: string, context: Context, answer: Answer): void {
    this.#cases.push({ flagKey, context, ...answer });
  }

  /** A server must refuse this flag. */
  refuseFlag(key: string): void {
    this.#refused.flags.add(key);
  }

  /** A server must refuse this segment. */
  refuseSegment(key: string): void {
    this.#refused.segments.add(key);
  }

  finish(): VectorFile {
    const { description } = this;
    const file = { flags: this.#flags, targetings: this.#targetings, segments: this.#segments };
    const refused: Refused = {
      flags: [...this.#refused.flags].sort(),
      segments: [...this.#refused.segments].sort(),
    };
    const refuses = refused.flags.length + refused.segments.length > 0;
    return { description, file, ...(refuses && { refused }), cases: this.#cases };
  }
}

/** A targeting that is enabled, with `off` as the off variant and the default, unless said otherwise. */
export function enabled(parts: JsonObject = {}): JsonObject {
  return { enabled: true, offVariant: "off", default: { variant: "off" }, ...parts };
}

export function rule(condition: JsonObject, serve: JsonObject = { variant: "on" }, id = "r"): JsonObject {
  return { id, condition, serve };
}

/** The settings of a killed flag. */
export const kill: JsonObject = { killedAt: "2026-01-01T00:00:00Z", killedBy: "ops", reason: "incident" };

export const everyone: JsonObject = { all: {} };
export const nobody: JsonObject = { any: {} };
export const all = (...conditions: JsonObject[]): JsonObject => ({ all: { conditions } });
export const any = (...conditions: JsonObject[]): JsonObject => ({ any: { conditions } });
export const not = (condition: JsonObject): JsonObject => ({ not: condition });
export const inSegment = (key: string): JsonObject => ({ segment: key });

export interface MatchParts {
  readonly attribute?: string;
  readonly ignoreCase?: boolean;
}

/** A match of the attribute `a`, unless said otherwise. The operator is named without its prefix, or is a number. */
export function match(operator: string | number, values: readonly Json[] = [], parts: MatchParts = {}): JsonObject {
  const { attribute = "a", ignoreCase = false } = parts;
  const name = typeof operator === "number" ? operator : `OPERATOR_${operator}`;
  return {
    match: { attribute, operator: name, ...(values.length > 0 && { values }), ...(ignoreCase && { ignoreCase }) },
  };
}

/** A rule of a boolean flag gave `on`. */
export const matched = (ruleId = "r"): Answer => ({ reason: "TARGETING_MATCH", value: true, variant: "on", ruleId });
/** No rule of a boolean flag matched, and its default is `off`. */
export const fellThrough: Answer = { reason: "DEFAULT", value: false, variant: "off" };
export const answeredStatically = (variant: string, value: Json): Answer => ({ reason: "STATIC", value, variant });
export const failedWith = (errorCode: string, ruleId?: string): Answer => ({
  reason: "ERROR",
  ...(ruleId !== undefined && { ruleId }),
  errorCode,
});
export const prerequisiteFailed = (prerequisiteKey: string): Answer => ({
  reason: "PREREQUISITE_FAILED",
  value: false,
  variant: "off",
  prerequisiteKey,
});
