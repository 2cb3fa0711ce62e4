import { create } from "@bufbuild/protobuf";
import { type Segment, type SegmentKeys, SegmentSchema } from "../../gen/flagwire/v1/segment_pb.js";
import type { FlagState, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { compileFlag } from "./compile-flag.js";
import type { CompiledSegment } from "./compiled-condition.js";
import type { FlagEntry } from "./compiled-flag.js";
import type { Digest } from "./digest.js";
import { componentsInOrder, withDependents } from "./graph.js";
import { intern } from "./intern.js";
import { toReadable } from "./readable.js";
import { prerequisitesOf, segmentsOfCondition, segmentsOfTargeting } from "./references.js";
import { compileSegment } from "./segment.js";

export interface FlagNode {
  readonly state: FlagState;
  readonly requires: ReadonlySet<string>;
  readonly segments: ReadonlySet<string>;
  readonly compiled: FlagEntry;
}

export interface SegmentNode {
  readonly segment: Segment;
  readonly uses: ReadonlySet<string>;
  readonly compiled: CompiledSegment;
}

/** What a snapshot holds. */
export interface Content {
  readonly digest: Digest;
  readonly flags: ReadonlyMap<string, FlagNode>;
  readonly segments: ReadonlyMap<string, SegmentNode>;
  readonly privateAttributes: readonly string[];
}

/** The content of a snapshot in the making. Nobody else sees it until it is complete. */
export class SnapshotUpdate {
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
