/** JSON as a vector holds it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A context in its flat form: `targetingKey` stands among the attributes. */
export type Context = JsonObject;

/** What a flag must answer. What is not named must be absent. */
export interface Answer {
  readonly reason: string;
  readonly value?: Json;
  readonly variant?: string;
  readonly ruleId?: string;
  readonly prerequisiteKey?: string;
  readonly errorCode?: string;
  readonly metadata?: JsonObject;
}

/** One question and its answer. */
export interface VectorCase extends Answer {
  readonly flagKey: string;
  readonly context: Context;
}

/** The keys of what a server must refuse to take over. */
export interface Refused {
  readonly flags: readonly string[];
  readonly segments: readonly string[];
}

/** One file of vectors; test/vectors/README.md describes it. */
export interface VectorFile {
  readonly description: string;
  readonly file: {
    readonly flags: readonly JsonObject[];
    readonly targetings: readonly JsonObject[];
    readonly segments: readonly JsonObject[];
  };
  readonly refused?: Refused;
  readonly cases: readonly VectorCase[];
}

/** A file's text: one flag, targeting, segment and case a line, so that a change shows as the lines that it is. */
export function toText({ description, file, refused, cases }: VectorFile): string {
  const lists = Object.entries(file).map(([name, items]) => `  ${JSON.stringify(name)}: ${lines(items, "   ")}`);
  const parts = [
    ` "description": ${JSON.stringify(description)}`,
    ` "file": {\n${lists.join(",\n")}\n }`,
    ...(refused === undefined ? [] : [` "refused": ${toJson(refused)}`]),
    ` "cases": ${lines(cases, "  ")}`,
  ];
  return `{\n${parts.join(",\n")}\n}\n`;
}

function lines(items: readonly unknown[], indent: string): string {
  if (items.length === 0) return "[]";
  return `[\n${items.map((item) => indent + toJson(item)).join(",\n")}\n${indent.slice(1)}]`;
}

/** JSON that keeps the sign of -0, which `JSON.stringify` drops. */
function toJson(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`).join(",")}}`;
}
