import { create } from "@bufbuild/protobuf";
import type { HistoryEntry, Record } from "../../../gen/flagwire/v1/history_pb.js";
import { PositionSchema } from "../../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../engine/index.js";
import {
  HistoryCompacted,
  type RecordId,
  recordId,
  type Store,
  type StoreFailure,
  StoreUnavailable,
  tokenId,
} from "../../store/index.js";
import type { WatchHub } from "../../watch/index.js";
import { Announcements } from "./announcements.js";
import { Catalog, type Move } from "./catalog.js";
import { FormerRevisions } from "./former-revisions.js";
import { readPast } from "./prime.js";
import { Ramping } from "./ramping.js";
import { allItems, changedItems } from "./watch-items.js";

/**
 * The state that answers requests: it follows the store, so that nothing is seen before it is durable, and moves through
 * whole revisions.
 */
export class Head {
  #records: Map<RecordId, Record>;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #waiting: Waiter[] = [];
  readonly #stop = new AbortController();
  #catalog: Catalog;
  #revision: bigint;
  #failure: StoreFailure | undefined;
  #following: Promise<void> = Promise.resolve();
  /** Made after every move of the head, in a later turn. */
  readonly announcements = new Announcements();
  /** Made after tokens have changed, in a later turn. */
  readonly accessChanges = new Announcements();
  readonly ramping = new Ramping();
  readonly formerRevisions = new FormerRevisions();
  #resolveFailed: (failure: StoreFailure) => void = () => undefined;
  /** Resolves if the store cannot be followed any longer: what is answered then stands still, so stop serving. */
  readonly failed: Promise<StoreFailure> = new Promise((resolve) => {
    this.#resolveFailed = resolve;
  });

  private constructor(
    readonly store: Store,
    readonly hub: WatchHub,
    records: ReadonlyMap<RecordId, Record>,
    revision: bigint,
  ) {
    this.#records = new Map(records);
    this.#catalog = Catalog.of(this.#records);
    this.#revision = revision;
    this.ramping.reset(this.#records);
  }

  /** Loads the store's state, then follows it. */
  static async open(store: Store, hub: WatchHub): Promise<Head> {
    const { revision, records } = await store.load();
    const head = new Head(store, hub, records, revision);
    for (const name of head.catalog.environmentNames()) head.#reset(name);
    await head.#prime();
    head.#following = head.#follow().catch((cause) => head.#fail(cause));
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

  /** Resolves when everything up to a revision that was committed is visible here; rejects with `StoreUnavailable`. */
  async reached(revision: bigint): Promise<void> {
    if (this.#revision >= revision) return;
    if (this.#failure !== undefined) throw unavailable(this.#failure);
    await new Promise<void>((resolve, reject) => this.#waiting.push({ revision, resolve, reject }));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const entry of this.store.tail(this.#revision, signal)) this.#apply(entry);
        return;
      } catch (cause) {
        if (!(cause instanceof HistoryCompacted)) throw cause;
        await this.#reload();
      }
    }
  }

  /** History has moved past this state: takes the store's instead, which streams are sent as a whole. */
  async #reload(): Promise<void> {
    const { revision, records } = await this.store.load();
    this.#records = new Map(records);
    this.#catalog = Catalog.of(this.#records);
    this.#revision = revision;
    this.accessChanges.announce();
    this.formerRevisions.reset();
    this.ramping.reset(this.#records);
    this.#removeMissing();
    for (const name of this.#catalog.environmentNames()) this.#reset(name);
    this.#wake();
  }

  #fail(cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause);
    const failure: StoreFailure = { message: `the store can no longer be followed: ${message}`, cause };
    this.#failure = failure;
    for (const { reject } of this.#waiting.splice(0)) reject(unavailable(failure));
    this.#resolveFailed(failure);
  }

  #apply(entry: HistoryEntry): void {
    const moves: Move[] = [];
    for (const { before, after } of entry.changes) {
      const kept = after ?? before;
      const id = kept && recordId(kept);
      if (id === undefined) continue;
      if (after === undefined) this.#records.delete(id);
      else this.#records.set(id, after);
      this.ramping.note(id, after);
      this.formerRevisions.note(before, after);
      moves.push({ id, exists: after !== undefined });
    }
    this.#catalog = this.#catalog.following(moves);
    if (moves.some(({ id }) => id.startsWith(tokenId("")))) this.accessChanges.announce();
    this.#revision = entry.revision;
    this.#moveEnvironments(entry);
    this.#wake();
  }

  #wake(): void {
    this.announcements.announce();
    const waiting = this.#waiting.splice(0);
    for (const waiter of waiting) {
      if (waiter.revision <= this.#revision) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }

  #moveEnvironments(entry: HistoryEntry): void {
    this.#removeMissing();
    const names = this.#catalog.environmentNames();
    const known = names.filter((name) => this.#snapshots.has(name));
    const position = this.#position();
    const urgent = killsOf(entry);
    for (const [name, items] of changedItems(this.#catalog, known, entry.changes)) {
      const snapshot = this.#snapshots.get(name)?.apply("delta", items, position);
      if (snapshot === undefined) continue;
      this.#snapshots.set(name, snapshot);
      this.hub.publish(name, { position, digest: snapshot.digest, items, isUrgent: urgent.has(name) });
    }
    for (const name of names) if (!this.#snapshots.has(name)) this.#reset(name);
  }

  #removeMissing(): void {
    const names = this.#catalog.environmentNames();
    for (const name of this.#snapshots.keys()) {
      if (names.includes(name)) continue;
      this.#snapshots.delete(name);
      this.hub.remove(name);
    }
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

  /** Tells the hub what the last revisions changed, so that clients can resume across a restart of the server. */
  async #prime(): Promise<void> {
    const past = await readPast(this.store.history(), this.#revision, this.#snapshots.keys());
    for (const [name, { floor, changes }] of past) this.hub.prime(name, floor, changes);
  }
}

/** The environments in which a transaction kills or revives. */
function killsOf({ changes }: HistoryEntry): ReadonlySet<string> {
  const environments = new Set<string>();
  for (const { before, after, environment } of changes) {
    const [old, now] = [before, after].map((record) =>
      record?.kind.case === "targeting" ? record.kind.value.killed : undefined,
    );
    if ((old === undefined) !== (now === undefined)) environments.add(environment);
  }
  return environments;
}

/** Somebody who waits for a revision. */
interface Waiter {
  readonly revision: bigint;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function unavailable({ message, cause }: StoreFailure): StoreUnavailable {
  return new StoreUnavailable(message, { cause });
}
