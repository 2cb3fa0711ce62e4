/** A JSON object of which nothing more is known. */
export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text, or an empty one: protobuf's JSON leaves out what is empty. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
