import type { CompiledFlag, Snapshot } from "../../engine/index.js";
import { type Finding, type FlagSource, SHARES_WARNING, toFlagdFlag } from "../../flagd/index.js";
import type { Catalog } from "../state/catalog.js";

/** One flag as it stands in a payload, or why it does not. */
export interface SyncFragment {
  /** `,"KEY":{…}`; undefined where flagd cannot express the flag. */
  readonly bytes: Buffer | undefined;
  readonly left: readonly Finding[];
  /** Whether clients that bucket otherwise have an error. */
  readonly hasShares: boolean;
}

/** The most that the clients of all languages take at once, in bytes: a flag that is larger would take all others with it. */
export const MAX_RECEIVED_BYTES = 4 * 1_024 * 1_024;

/**
 * Flags in flagd's terms, each translated once: a flag is compiled anew when it, or anything that it uses, has changed, and only
 * then.
 */
export class SyncFragments {
  readonly #known = new WeakMap<CompiledFlag, SyncFragment>();

  get(flag: CompiledFlag): SyncFragment | undefined {
    return this.#known.get(flag);
  }

  /** `catalog` is of the revision of the snapshot that the flag is from. */
  make(flag: CompiledFlag, snapshot: Snapshot, catalog: Catalog): void {
    this.#known.set(flag, translate(flag, snapshot, catalog));
  }
}

const NOTHING: SyncFragment = { bytes: undefined, left: [], hasShares: false };

function translate({ key }: CompiledFlag, snapshot: Snapshot, catalog: Catalog): SyncFragment {
  const { environment } = snapshot;
  const source: FlagSource = {
    flag: (other) => catalog.flag(other),
    targeting: (flagKey) => catalog.targeting(environment, flagKey),
    segment: (segmentKey) => catalog.segment(environment, segmentKey),
    problems: (flagKey) => snapshot.flag(flagKey)?.problems ?? [],
  };
  const flag = catalog.flag(key);
  if (flag === undefined) return NOTHING;
  const { definition, left, warnings } = toFlagdFlag(flag, source, "sync");
  if (definition === undefined) return { ...NOTHING, left };
  const bytes = Buffer.from(`,${JSON.stringify(key)}:${JSON.stringify(definition)}`);
  const { byteLength } = bytes;
  const hasShares = warnings.some(({ description }) => description === SHARES_WARNING);
  if (byteLength <= MAX_RECEIVED_BYTES) return { bytes, left, hasShares };
  const description = `its definition has ${byteLength} bytes, more than clients take (${MAX_RECEIVED_BYTES})`;
  return { ...NOTHING, left: [{ key, path: "", description }] };
}
