import type { StoredToken } from "../../../gen/flagwire/v1/access_pb.js";
import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import type { Flag, ReservedKey } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import type { Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import {
  environmentId,
  flagId,
  type RecordChange,
  type RecordId,
  reservedKeyId,
  segmentId,
  targetingId,
  tokenId,
} from "../../store/index.js";

/** All records at one revision, by what they are. */
export class Catalog {
  readonly #get: (id: RecordId) => Record | undefined;
  /** The names of all ids that begin with a prefix, sorted. */
  readonly #scan: (prefix: string) => readonly string[];
  readonly #sorted = new Map<string, readonly string[]>();

  private constructor(get: (id: RecordId) => Record | undefined, scan: (prefix: string) => readonly string[]) {
    this.#get = get;
    this.#scan = scan;
  }

  /** A view of records that must not change while it is in use, unless it is told by `following`. */
  static of(records: ReadonlyMap<RecordId, Record>): Catalog {
    return new Catalog(
      (id) => records.get(id),
      (prefix) => {
        const names: string[] = [];
        for (const id of records.keys()) if (id.startsWith(prefix)) names.push(id.slice(prefix.length));
        return names.sort();
      },
    );
  }

  /** This catalog as it would be after some changes. */
  with(changes: readonly RecordChange[]): Catalog {
    const changed = new Map(changes.map(({ id, after }) => [id, after]));
    const moves: Move[] = changes.map(({ id, after }) => ({ id, exists: after !== undefined }));
    return new Catalog(
      (id) => (changed.has(id) ? changed.get(id) : this.#get(id)),
      (prefix) => moveNames(this.#namesBelow(prefix), prefix, moves),
    );
  }

  /** The catalog after its records were changed underneath it; what was sorted stays sorted. */
  following(moves: readonly Move[]): Catalog {
    const next = new Catalog(this.#get, this.#scan);
    for (const [prefix, names] of this.#sorted) next.#sorted.set(prefix, moveNames(names, prefix, moves));
    return next;
  }

  record(id: RecordId): Record | undefined {
    return this.#get(id);
  }

  flag(key: string): Flag | undefined {
    const kind = this.#get(flagId(key))?.kind;
    return kind?.case === "flag" ? kind.value : undefined;
  }

  targeting(environment: string, flagKey: string): Targeting | undefined {
    const kind = this.#get(targetingId(environment, flagKey))?.kind;
    return kind?.case === "targeting" ? kind.value : undefined;
  }

  segment(environment: string, key: string): Segment | undefined {
    const kind = this.#get(segmentId(environment, key))?.kind;
    return kind?.case === "segment" ? kind.value : undefined;
  }

  environment(name: string): Environment | undefined {
    const kind = this.#get(environmentId(name))?.kind;
    return kind?.case === "environment" ? kind.value : undefined;
  }

  reservedKey(key: string): ReservedKey | undefined {
    const kind = this.#get(reservedKeyId(key))?.kind;
    return kind?.case === "reservedKey" ? kind.value : undefined;
  }

  token(id: string): StoredToken | undefined {
    const kind = this.#get(tokenId(id))?.kind;
    return kind?.case === "token" ? kind.value : undefined;
  }

  /** Sorted. */
  tokenIds(): readonly string[] {
    return this.#namesBelow(tokenId(""));
  }

  /** Sorted. */
  flagKeys(): readonly string[] {
    return this.#namesBelow(flagId(""));
  }

  /** Of deleted flags, sorted. */
  reservedKeys(): readonly string[] {
    return this.#namesBelow(reservedKeyId(""));
  }

  /** Sorted. */
  environmentNames(): readonly string[] {
    return this.#namesBelow(environmentId(""));
  }

  /** Sorted. */
  segmentKeys(environment: string): readonly string[] {
    return this.#namesBelow(segmentId(environment, ""));
  }

  #namesBelow(prefix: string): readonly string[] {
    const known = this.#sorted.get(prefix) ?? this.#scan(prefix);
    this.#sorted.set(prefix, known);
    return known;
  }
}

/** Whether there is a record under an id now. */
export interface Move {
  readonly id: RecordId;
  readonly exists: boolean;
}

/** Sorted names with those that came and without those that went; the same list where there are none. */
function moveNames(names: readonly string[], prefix: string, moves: readonly Move[]): readonly string[] {
  const moved = new Map<string, boolean>();
  for (const { id, exists } of moves) if (id.startsWith(prefix)) moved.set(id.slice(prefix.length), exists);
  if (moved.size === 0) return names;
  const kept = names.filter((name) => moved.get(name) !== false);
  const before = new Set(kept);
  const came = [...moved].filter(([name, exists]) => exists && !before.has(name)).map(([name]) => name);
  return came.length === 0 && kept.length === names.length ? names : [...kept, ...came].sort();
}
