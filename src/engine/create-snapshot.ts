import { create } from "@bufbuild/protobuf";
import {
  EnvironmentStateSchema,
  type Position,
  PositionSchema,
  type WatchItem,
  WatchItemSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import type { CompiledFlag } from "./compiled-flag.js";
import { Digest } from "./digest.js";
import type { Problem } from "./problem.js";
import type { Snapshot } from "./snapshot.js";
import { type Content, type FlagNode, type SegmentNode, SnapshotUpdate } from "./snapshot-update.js";

/** A snapshot without flags, at revision 0 of no epoch: what a mirror starts from. */
export function emptySnapshot(environment: string): Snapshot {
  const content = { digest: new Digest(), flags: new Map(), segments: new Map(), privateAttributes: [] };
  return new CompiledSnapshot(environment, create(PositionSchema), content, new Set());
}

class CompiledSnapshot implements Snapshot {
  #sorted: readonly CompiledFlag[] | undefined;
  /** Of the flags, sorted, once somebody has asked. Sorting costs more than all else that follows a change. */
  #keys: readonly string[] | undefined;
  readonly #content: Content;
  readonly #flags: ReadonlyMap<string, FlagNode>;
  readonly #segments: ReadonlyMap<string, SegmentNode>;

  constructor(
    readonly environment: string,
    readonly position: Position,
    content: Content,
    readonly changedKeys: ReadonlySet<string>,
  ) {
    this.#content = content;
    this.#flags = content.flags;
    this.#segments = content.segments;
  }

  get digest(): string {
    return this.#content.digest.toString();
  }

  get privateAttributes(): readonly string[] {
    return this.#content.privateAttributes;
  }

  get size(): number {
    return this.#flags.size;
  }

  flag(key: string): CompiledFlag | undefined {
    return this.#flags.get(key)?.compiled;
  }

  flags(): readonly CompiledFlag[] {
    this.#sorted ??= Object.freeze(this.#sortedKeys().flatMap((key) => this.flag(key) ?? []));
    return this.#sorted;
  }

  #sortedKeys(): readonly string[] {
    this.#keys ??= sortedKeys(this.#flags);
    return this.#keys;
  }

  segmentProblems(key: string): readonly Problem[] {
    return this.#segments.get(key)?.compiled.problems ?? [];
  }

  items(): WatchItem[] {
    const items: WatchItem[] = [];
    const { privateAttributes } = this;
    if (privateAttributes.length > 0) {
      const value = create(EnvironmentStateSchema, { privateAttributes: [...privateAttributes] });
      items.push(create(WatchItemSchema, { kind: { case: "environment", value } }));
    }
    for (const key of this.#sortedKeys()) {
      const value = this.#flags.get(key)?.state;
      if (value !== undefined) items.push(create(WatchItemSchema, { kind: { case: "flag", value } }));
    }
    for (const key of sortedKeys(this.#segments)) {
      const value = this.#segments.get(key)?.segment;
      if (value !== undefined) items.push(create(WatchItemSchema, { kind: { case: "segment", value } }));
    }
    return items;
  }

  apply(kind: "full" | "delta", items: readonly WatchItem[], position: Position): Snapshot {
    if (kind === "delta" && items.length === 0) return this.#at(position);
    const update =
      kind === "full"
        ? new SnapshotUpdate(new Digest(), new Map(), new Map(), [])
        : new SnapshotUpdate(
            new Digest(this.#content.digest),
            new Map(this.#flags),
            new Map(this.#segments),
            this.privateAttributes,
          );
    for (const item of items) update.put(item);
    const changed = update.compile();
    if (kind === "full") for (const key of this.#flags.keys()) changed.add(key);
    // The end of a flag that was never there is no change.
    for (const key of changed) if (!this.#flags.has(key) && !update.flags.has(key)) changed.delete(key);
    const { digest, flags, segments, privateAttributes } = update;
    const content = { digest, flags, segments, privateAttributes };
    const made = new CompiledSnapshot(this.environment, position, content, changed);
    if (this.#hasKeysOf(flags, changed)) made.#keys = this.#keys;
    return made;
  }

  /** Whether no flag came or went, by those that changed. */
  #hasKeysOf(flags: ReadonlyMap<string, FlagNode>, changed: ReadonlySet<string>): boolean {
    for (const key of changed) if (!this.#flags.has(key) || !flags.has(key)) return false;
    return true;
  }

  #at(position: Position): Snapshot {
    const moved = new CompiledSnapshot(this.environment, position, this.#content, new Set());
    moved.#sorted = this.#sorted;
    moved.#keys = this.#keys;
    return moved;
  }
}

function sortedKeys(map: ReadonlyMap<string, unknown>): string[] {
  return [...map.keys()].sort();
}
