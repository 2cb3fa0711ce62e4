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
} from "../../store/index.js";

/** All records at one revision, by what they are. */
export class Catalog {
  readonly #get: (id: RecordId) => Record | undefined;
  readonly #ids: () => Iterable<RecordId>;
  readonly #sorted = new Map<string, readonly string[]>();

  private constructor(get: (id: RecordId) => Record | undefined, ids: () => Iterable<RecordId>) {
    this.#get = get;
    this.#ids = ids;
  }

  /** A view of records that must not change while it is in use. */
  static of(records: ReadonlyMap<RecordId, Record>): Catalog {
    return new Catalog(
      (id) => records.get(id),
      () => records.keys(),
    );
  }

  /** This catalog as it would be after some changes. */
  with(changes: readonly RecordChange[]): Catalog {
    const changed = new Map(changes.map(({ id, after }) => [id, after]));
    const before = this.#ids;
    return new Catalog(
      (id) => (changed.has(id) ? changed.get(id) : this.#get(id)),
      () => {
        const ids = new Set(before());
        for (const [id, after] of changed) {
          if (after === undefined) ids.delete(id);
          else ids.add(id);
        }
        return ids;
      },
    );
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

  /** Sorted. */
  flagKeys(): readonly string[] {
    return this.#namesBelow(flagId(""));
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
    const known = this.#sorted.get(prefix);
    if (known !== undefined) return known;
    const names: string[] = [];
    for (const id of this.#ids()) if (id.startsWith(prefix)) names.push(id.slice(prefix.length));
    names.sort();
    this.#sorted.set(prefix, names);
    return names;
  }
}
