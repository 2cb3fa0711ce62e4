/** OpenFeature's flag metadata: https://openfeature.dev/specification/types#flag-metadata */
export type FlatMetadata = Readonly<Record<string, string | number | boolean>>;

/** Metadata in OpenFeature's form, which knows no lists, objects and nulls: these are left out. */
export function toFlatMetadata(metadata: unknown): FlatMetadata {
  const flat: Record<string, string | number | boolean> = {};
  if (typeof metadata !== "object" || metadata === null) return flat;
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") flat[key] = value;
  }
  return flat;
}
