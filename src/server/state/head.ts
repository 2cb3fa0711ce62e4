import { create } from "@bufbuild/protobuf";
import type { HistoryEntry, Record } from "../../../gen/flagwire/v1/history_pb.js";
import { PositionSchema } from "../../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../engine/index.js";
import type { RecordId, Store } from "../../store/index.js";
import { recordId } from "../../store/index.js";
import { flagItemId, type RetainedChange, segmentItemId, type WatchHub } from "../../watch/index.js";
import { Catalog, type Move } from "./catalog.js";
import { allItems, changedItems } from "./watch-items.js";

/** How much history is read at start, so that clients can resume across a restart of the server. */
const PRIMED_ENTRIES = 1_000;

/**
 * The state that answers requests: it follows the store, so that nothing is seen before it is durable, and moves through
 * whole revisions.
 */
export class Head {
  readonly #records: Map<RecordId, Record>;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #waiting: { readonly revision: bigint; readonly resolve: () => void }[] = [];
  readonly #stop = new AbortController();
  #catalog: Catalog;
  #revision: bigint;
  #following: Promise<void> = Promise.resolve();

  private constructor(
    readonly store: Store,
    readonly hub: WatchHub,
    records: ReadonlyMap<RecordId, Record>,
    revision: bigint,
  ) {
    this.#records = new Map(records);
    this.#catalog = Catalog.of(this.#records);
    this.#revision = revision;
  }

  /** Loads the store's state, then follows it. `onError` is told if following fails, which means that the store has. */
  static async open(store: Store, hub: WatchHub, onError: (error: unknown) => void): Promise<Head> {
    const { revision, records } = await store.load();
    const head = new Head(store, hub, records, revision);
    for (const name of head.catalog.environmentNames()) head.#reset(name);
    await head.#prime();
    head.#following = head.#follow().catch(onError);
    return head;
  }

  get epoch(): string {
    return this.store.epoch;
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** The records at `revision`. Use it before the next `await`: it moves on. */
  get catalog(): Catalog {
    return this.#catalog;
  }

  /** Undefined for an environment that does not exist. */
  snapshot(environment: string): Snapshot | undefined {
    return this.#snapshots.get(environment);
  }

  /** Resolves when everything up to a revision that was committed is visible here. */
  async reached(revision: bigint): Promise<void> {
    if (this.#revision >= revision) return;
    await new Promise<void>((resolve) => this.#waiting.push({ revision, resolve }));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    for await (const entry of this.store.tail(this.#revision, this.#stop.signal)) this.#apply(entry);
  }

  #apply(entry: HistoryEntry): void {
    const moves: Move[] = [];
    for (const { before, after } of entry.changes) {
      const kept = after ?? before;
      const id = kept && recordId(kept);
      if (id === undefined) continue;
      if (after === undefined) this.#records.delete(id);
      else this.#records.set(id, after);
      moves.push({ id, exists: after !== undefined });
    }
    this.#catalog = this.#catalog.following(moves);
    this.#revision = entry.revision;
    this.#moveEnvironments(entry);
    const waiting = this.#waiting.splice(0);
    for (const waiter of waiting) {
      if (waiter.revision <= this.#revision) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }

  #moveEnvironments(entry: HistoryEntry): void {
    const names = this.#catalog.environmentNames();
    for (const name of this.#snapshots.keys()) {
      if (names.includes(name)) continue;
      this.#snapshots.delete(name);
      this.hub.remove(name);
    }
    const known = names.filter((name) => this.#snapshots.has(name));
    const position = this.#position();
    for (const [name, items] of changedItems(this.#catalog, known, entry.changes)) {
      const snapshot = this.#snapshots.get(name)?.apply("delta", items, position);
      if (snapshot === undefined) continue;
      this.#snapshots.set(name, snapshot);
      this.hub.publish(name, { position, digest: snapshot.digest, items });
    }
    for (const name of names) if (!this.#snapshots.has(name)) this.#reset(name);
  }

  #reset(environment: string): void {
    const position = this.#position();
    const items = allItems(this.#catalog, environment);
    const snapshot = emptySnapshot(environment).apply("full", items, position);
    this.#snapshots.set(environment, snapshot);
    this.hub.reset(environment, { position, digest: snapshot.digest, items });
  }

  #position() {
    return create(PositionSchema, { epoch: this.epoch, revision: this.#revision });
  }

  /** Tells the hub what the last revisions changed. */
  async #prime(): Promise<void> {
    const entries: HistoryEntry[] = [];
    for await (const entry of this.store.history()) {
      if (entry.revision > this.#revision) continue;
      entries.push(entry);
      if (entries.length === PRIMED_ENTRIES) break;
    }
    entries.reverse();
    const oldest = (entries[0]?.revision ?? this.#revision + 1n) - 1n;
    for (const name of this.#snapshots.keys()) {
      const floor = createdAt(entries, name) ?? oldest;
      const retained: RetainedChange[] = [];
      for (const entry of entries) {
        const ids = entry.revision > floor ? touchedIds(entry, name) : [];
        if (ids.length > 0) retained.push({ revision: entry.revision, ids });
      }
      this.hub.prime(name, floor, retained);
    }
  }
}

/**
 * The last revision that created an environment, if it is among the entries. It cannot be resumed from before that: it may
 * have been another one of the same name.
 */
function createdAt(entries: readonly HistoryEntry[], environment: string): bigint | undefined {
  let created: bigint | undefined;
  for (const { revision, changes } of entries) {
    for (const { before, after } of changes) {
      if (before === undefined && after?.kind.case === "environment" && after.kind.value.name === environment) {
        created = revision;
      }
    }
  }
  return created;
}

function touchedIds(entry: HistoryEntry, environment: string): string[] {
  const ids = new Set<string>();
  for (const { before, after } of entry.changes) {
    const kind = (after ?? before)?.kind;
    if (kind?.case === "flag") ids.add(flagItemId(kind.value.key));
    else if (kind?.case === "targeting" && kind.value.environment === environment) {
      ids.add(flagItemId(kind.value.flagKey));
    } else if (kind?.case === "segment" && kind.value.environment === environment) {
      ids.add(segmentItemId(kind.value.key));
    }
  }
  return [...ids];
}
