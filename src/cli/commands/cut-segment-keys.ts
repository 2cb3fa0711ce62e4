import type { SegmentKeyLists } from "../read-segment-keys.js";

/** A request has at most 4 MiB. */
const maximumSizeBytes = 3 * 1_048_576;
/** The tag and the length of a key in a list. */
const overheadBytes = 4;

/** Cuts keys into as many parts as it takes for each to fit a request, in order; there is at least one. */
export function* cutSegmentKeys(keys: SegmentKeyLists): Generator<SegmentKeyLists> {
  let part = { included: [] as string[], excluded: [] as string[] };
  let sizeBytes = 0;
  for (const list of ["included", "excluded"] as const) {
    for (const key of keys[list]) {
      const keySizeBytes = Buffer.byteLength(key) + overheadBytes;
      if (sizeBytes > 0 && sizeBytes + keySizeBytes > maximumSizeBytes) {
        yield part;
        part = { included: [], excluded: [] };
        sizeBytes = 0;
      }
      part[list].push(key);
      sizeBytes += keySizeBytes;
    }
  }
  yield part;
}
