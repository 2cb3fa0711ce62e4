import { clone, create, equals } from "@bufbuild/protobuf";
import {
  type FlagState,
  FlagStateSchema,
  type Position,
  type WatchItem,
  WatchItemSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, type Context, type FlagUsage, Follower, SnapshotFlags } from "../client/index.js";
import { prerequisitesOf, type Snapshot } from "../engine/index.js";
import { serving } from "./flag-state.js";
import type { Pin } from "./pinned-test-flags.js";
import { sumUsage } from "./sum-usage.js";
import type { TestValue, VariantName } from "./test-value.js";

/** Says what a flag serves to a context, beating all rules; undefined: what it would serve without this. */
export type Compute = (context: Context) => TestValue | VariantName | undefined;

/** A flag as it is answered from. */
export type ShownFlag =
  | { readonly kind: "fixed"; readonly state: FlagState }
  /** What it serves is not known before it is asked: what the first function says that says anything. */
  | {
      readonly kind: "computed";
      /** The flag that they say it of. */
      readonly flag: FlagState;
      readonly computes: readonly Compute[];
      /** What counts where none of them says anything. */
      readonly state: FlagState;
    };

/** The name of the variant that a value becomes which an override gives and no variant has. */
export const OVERRIDE_VARIANT = "override";

/**
 * A snapshot of flags of which some are computed: such a one is compiled to serve what its function says, before it or a
 * flag that requires it is asked, and anew whenever that is something else. So the engine alone evaluates.
 */
export class ShownFlags {
  readonly follower: Follower;
  /** Answers what was prepared. */
  readonly answers: SnapshotFlags;
  readonly #clock: Clock;
  readonly #shown: Map<string, ShownFlag>;
  /** What the computed flags serve in the snapshot. */
  readonly #served: Map<string, FlagState>;
  /** Those that were pinned with flags that are computed: what they answer is counted apart. */
  #copies: ShownFlags[] = [];

  constructor(
    snapshot: Snapshot,
    clock: Clock,
    shown: ReadonlyMap<string, ShownFlag> = new Map(),
    served: ReadonlyMap<string, FlagState> = new Map(),
  ) {
    this.#clock = clock;
    this.#shown = new Map(shown);
    this.#served = new Map(served);
    this.follower = new Follower(snapshot.environment);
    this.follower.adopt(snapshot, true);
    this.answers = new SnapshotFlags(this.follower, clock, []);
  }

  /** These flags as they are now, for good; functions go on saying what they serve. */
  pinned(): Pin {
    if (!this.#hasComputed) {
      const source = this.follower.pinned();
      return { source, answers: new SnapshotFlags(source, this.#clock, []) };
    }
    const copy = new ShownFlags(this.follower.snapshot, this.#clock, this.#shown, this.#served);
    this.#copies.push(copy);
    return { source: copy.follower, answers: copy.answers, computed: copy };
  }

  /** What was answered since the last time, also by those that were pinned. */
  takeUsage(): FlagUsage[] {
    return sumUsage([this, ...this.#copies].flatMap(({ follower }) => follower.takeUsage()));
  }

  /** From now on nothing counts that those answer which are pinned already. */
  forgetPinned(): void {
    this.#copies = [];
  }

  /** Whether showing these flags changes anything. */
  differs(wanted: ReadonlyMap<string, ShownFlag>): boolean {
    return this.#differences(wanted).length > 0;
  }

  /** Shows these flags and no others, at a position. Returns the keys of those that may answer differently now, sorted. */
  show(wanted: ReadonlyMap<string, ShownFlag>, position: Position): readonly string[] {
    const items: WatchItem[] = [];
    for (const key of this.#differences(wanted)) {
      const flag = wanted.get(key);
      items.push(flag === undefined ? deletedItem(key) : flagItem(flag.state, position.revision));
      if (flag === undefined) this.#shown.delete(key);
      else this.#shown.set(key, flag);
      this.#served.delete(key);
    }
    const { follower } = this;
    follower.adopt(follower.snapshot.apply("delta", items, position), true);
    return [...follower.snapshot.changedKeys].sort();
  }

  /** Has the functions that an answer depends on say what they serve to a context. Throws what they throw. */
  prepare(key: string, context: Context = {}): void {
    if (!this.#hasComputed) return;
    const { position } = this.follower.snapshot;
    const computed = new Map<string, FlagState>();
    this.#compute(key, context, new Set(), computed);
    const items: WatchItem[] = [];
    for (const [one, state] of computed) {
      const before = this.#served.get(one);
      if (before !== undefined && equals(FlagStateSchema, before, state)) continue;
      this.#served.set(one, state);
      items.push(flagItem(state, position.revision));
    }
    if (items.length > 0) this.follower.adopt(this.follower.snapshot.apply("delta", items, position), true);
  }

  get #hasComputed(): boolean {
    for (const { kind } of this.#shown.values()) if (kind === "computed") return true;
    return false;
  }

  #differences(wanted: ReadonlyMap<string, ShownFlag>): readonly string[] {
    const keys = new Set([...wanted.keys(), ...this.#shown.keys()]);
    return [...keys].filter((key) => !isSame(wanted.get(key), this.#shown.get(key)));
  }

  #compute(key: string, context: Context, seen: Set<string>, computed: Map<string, FlagState>): void {
    const flag = this.#shown.get(key);
    if (flag === undefined || seen.has(key)) return;
    seen.add(key);
    if (flag.kind === "computed") {
      const served = firstSaid(flag.computes, context);
      computed.set(key, served === undefined ? flag.state : serving(flag.flag, served, { newName: OVERRIDE_VARIANT }));
      if (served !== undefined) return;
    }
    for (const required of prerequisitesOf(flag.state.targeting)) this.#compute(required, context, seen, computed);
  }
}

function firstSaid(computes: readonly Compute[], context: Context): TestValue | VariantName | undefined {
  for (const compute of computes) {
    const served = compute(context);
    if (served !== undefined) return served;
  }
  return undefined;
}

function isSame(one: ShownFlag | undefined, other: ShownFlag | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  if (!equals(FlagStateSchema, one.state, other.state)) return false;
  if (one.kind === "fixed" || other.kind === "fixed") return one.kind === other.kind;
  return isSameList(one.computes, other.computes) && equals(FlagStateSchema, one.flag, other.flag);
}

function isSameList(some: readonly Compute[], others: readonly Compute[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}

/** The revisions of what changed make the digest another one. */
function flagItem(state: FlagState, revision: bigint): WatchItem {
  const value = clone(FlagStateSchema, state);
  if (value.flag !== undefined) value.flag.revision = revision;
  if (value.targeting !== undefined) value.targeting.revision = revision;
  return create(WatchItemSchema, { kind: { case: "flag", value } });
}

function deletedItem(key: string): WatchItem {
  return create(WatchItemSchema, { kind: { case: "deletedFlagKey", value: key } });
}
