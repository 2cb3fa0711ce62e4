import { create } from "@bufbuild/protobuf";
import { type Segment, type SegmentKeys, SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import {
  EnvironmentStateSchema,
  type FlagState,
  type Position,
  PositionSchema,
  type WatchItem,
  WatchItemSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { compileFlag } from "./compile-flag.js";
import type { CompiledSegment } from "./compiled-condition.js";
import type { CompiledFlag, FlagEntry } from "./compiled-flag.js";
import { Digest } from "./digest.js";
import { componentsInOrder, withDependents } from "./graph.js";
import { intern } from "./intern.js";
import type { Problem } from "./problem.js";
import { toReadable } from "./readable.js";
import { prerequisitesOf, segmentsOfCondition, segmentsOfTargeting } from "./references.js";
import { compileSegment } from "./segment.js";
import type { Snapshot } from "./snapshot.js";

/** A snapshot without flags, at revision 0 of no epoch: what a mirror starts from. */
export function emptySnapshot(environment: string): Snapshot {
  const content = { digest: new Digest(), flags: new Map(), segments: new Map(), privateAttributes: [] };
  return new CompiledSnapshot(environment, create(PositionSchema), content, new Set());
}

interface FlagNode {
  readonly state: FlagState;
  readonly requires: ReadonlySet<string>;
  readonly segments: ReadonlySet<string>;
  readonly compiled: FlagEntry;
}

interface SegmentNode {
  readonly segment: Segment;
  readonly uses: ReadonlySet<string>;
  readonly compiled: CompiledSegment;
}

/** What a snapshot holds. */
interface Content {
  readonly digest: Digest;
  readonly flags: ReadonlyMap<string, FlagNode>;
  readonly segments: ReadonlyMap<string, SegmentNode>;
  readonly privateAttributes: readonly string[];
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
        ? new Update(new Digest(), new Map(), new Map(), [])
        : new Update(
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

/** The content of a snapshot in the making. Nobody else sees it until it is complete. */
class Update {
  readonly #changedFlags = new Map<string, FlagState>();
  readonly #changedSegments = new Map<string, Segment>();
  readonly #touchedFlags = new Set<string>();
  readonly #touchedSegments = new Set<string>();
  /** Segments of which some keys came apart: copies of this update, unlike all that it was given. */
  readonly #ownSegments = new Set<Segment>();

  constructor(
    readonly digest: Digest,
    readonly flags: Map<string, FlagNode>,
    readonly segments: Map<string, SegmentNode>,
    public privateAttributes: readonly string[],
  ) {}

  put(item: WatchItem): void {
    const { kind } = toReadable(item);
    switch (kind.case) {
      case "flag": {
        const key = kind.value.flag?.key ?? kind.value.targeting?.flagKey ?? "";
        this.#dropFlag(key);
        this.#changedFlags.set(key, kind.value);
        this.digest.addFlag(key, kind.value);
        return;
      }
      case "segment": {
        const { key } = kind.value;
        this.#dropSegment(key);
        this.#changedSegments.set(key, kind.value);
        this.digest.addSegment(key, kind.value);
        return;
      }
      case "segmentKeys":
        this.#addKeys(kind.value);
        return;
      case "deletedFlagKey":
        this.#dropFlag(kind.value);
        return;
      case "deletedSegmentKey":
        this.#dropSegment(kind.value);
        return;
      case "environment":
        this.privateAttributes = Object.freeze([...kind.value.privateAttributes]);
        return;
      case undefined:
        // Of a newer server: it cannot concern what this version evaluates, or the digest will tell.
        return;
    }
  }

  /**
   * Compiles what was put and all that depends on it; everything else is shared with the snapshot before. Returns the flags
   * that this concerns, deleted ones included.
   */
  compile(): Set<string> {
    const segments = withDependents(this.#touchedSegments, usesOf(this.segments, segmentUses));
    this.#compileSegments(segments);
    const flags = new Set(this.#touchedFlags);
    if (segments.size > 0) {
      for (const [key, node] of this.flags) if (meets(node.segments, segments)) flags.add(key);
    }
    const concerned = withDependents(flags, usesOf(this.flags, flagRequires));
    this.#compileFlags(concerned);
    return concerned;
  }

  #compileSegments(keys: ReadonlySet<string>): void {
    const sources = new Map<string, { segment: Segment; uses: ReadonlySet<string> }>();
    for (const key of keys) {
      const changed = this.#changedSegments.get(key);
      const source = changed
        ? { segment: changed, uses: segmentsOfCondition(changed.condition) }
        : this.segments.get(key);
      if (source !== undefined) sources.set(key, source);
    }
    const segment = (key: string) => this.segments.get(key)?.compiled;
    for (const component of componentsInOrder(sources.keys(), (key) => sources.get(key)?.uses ?? [])) {
      for (const key of component) {
        const source = sources.get(key);
        if (source === undefined) continue;
        const inCycle = component.length > 1 || source.uses.has(key);
        const compiled = compileSegment(source.segment, { segment, uses: source.uses, inCycle });
        this.segments.set(key, { segment: source.segment, uses: source.uses, compiled });
      }
    }
  }

  #compileFlags(keys: ReadonlySet<string>): void {
    const sources = new Map<string, Omit<FlagNode, "compiled">>();
    for (const key of keys) {
      const state = this.#changedFlags.get(key);
      const source = state
        ? { state, requires: prerequisitesOf(state.targeting), segments: segmentsOfTargeting(state.targeting) }
        : this.flags.get(key);
      if (source !== undefined) sources.set(key, source);
    }
    const flag = (key: string) => this.flags.get(key)?.compiled;
    const segment = (key: string) => this.segments.get(key)?.compiled;
    for (const component of componentsInOrder(sources.keys(), (key) => sources.get(key)?.requires ?? [])) {
      for (const key of component) {
        const source = sources.get(key);
        if (source === undefined) continue;
        const inCycle = component.length > 1 || source.requires.has(key);
        this.flags.set(intern(key), {
          state: source.state,
          requires: source.requires,
          segments: source.segments,
          compiled: Object.freeze(compileFlag(key, source.state, { flag, segment, inCycle })),
        });
      }
    }
  }

  /** Keys of a segment that is not in the update, or not before them, are ignored: the digest or the protocol tells. */
  #addKeys({ segmentKey, included, excluded }: SegmentKeys): void {
    const before = this.#changedSegments.get(segmentKey);
    if (before === undefined) return;
    const segment = this.#ownSegments.has(before) ? before : copyOf(before);
    this.digest.removeSegment(segmentKey, before);
    // One by one: a call takes only so many arguments.
    for (const key of included) segment.included.push(key);
    for (const key of excluded) segment.excluded.push(key);
    this.digest.addSegment(segmentKey, segment);
    this.#ownSegments.add(segment);
    this.#changedSegments.set(segmentKey, segment);
  }

  #dropFlag(key: string): void {
    this.#touchedFlags.add(key);
    const before = this.#changedFlags.get(key) ?? this.flags.get(key)?.state;
    if (before !== undefined) this.digest.removeFlag(key, before);
    this.#changedFlags.delete(key);
    this.flags.delete(key);
  }

  #dropSegment(key: string): void {
    this.#touchedSegments.add(key);
    const before = this.#changedSegments.get(key) ?? this.segments.get(key)?.segment;
    if (before !== undefined) this.digest.removeSegment(key, before);
    this.#changedSegments.delete(key);
    this.segments.delete(key);
  }
}

function copyOf(segment: Segment): Segment {
  return create(SegmentSchema, {
    ...segment,
    included: [...segment.included],
    excluded: [...segment.excluded],
  });
}

const segmentUses = (node: SegmentNode): ReadonlySet<string> => node.uses;
const flagRequires = (node: FlagNode): ReadonlySet<string> => node.requires;

/** What the nodes use, those that use nothing left out. */
function* usesOf<N>(
  nodes: ReadonlyMap<string, N>,
  uses: (node: N) => ReadonlySet<string>,
): Iterable<readonly [node: string, uses: ReadonlySet<string>]> {
  for (const [key, node] of nodes) if (uses(node).size > 0) yield [key, uses(node)];
}

function meets(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  for (const key of some) if (others.has(key)) return true;
  return false;
}

function sortedKeys(map: ReadonlyMap<string, unknown>): string[] {
  return [...map.keys()].sort();
}
