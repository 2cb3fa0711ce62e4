import type { Position, WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, invariant, type StopTimer } from "../base/index.js";
import type { Tally } from "./counts.js";
import type { Frame } from "./frame.js";
import { Head } from "./head.js";
import { deletionOf, EncodedItem, ItemState, isDeletion, type WatchItemId, watchItemId } from "./item.js";
import type { WatchLimits } from "./options.js";
import { type RetainedChange, RetainedWindow } from "./retained-window.js";
import type { Listener, Waves } from "./waves.js";

/** What an environment is at a revision: everything (`reset`), or what the revision changed (`publish`). */
export interface Publication {
  readonly position: Position;
  /** Of the environment as a whole; see UpdateCommit.digest. */
  readonly digest: string;
  readonly items: readonly WatchItem[];
  /** Whether its watchers are told before those of other environments, whatever these wait for. Default false. */
  readonly isUrgent?: boolean;
}

/** A stream of the environment. */
export interface Watcher extends Listener {
  /** It has said goodbye, or is about to. */
  readonly isLeaving: boolean;
  /** Makes it say goodbye when it is next woken. */
  recycle(): void;
}

/** Everything that watchers of one environment read: its items, its recent past and its head. */
export class Feed {
  readonly #watchers = new Set<Watcher>();
  #items = new Map<WatchItemId, ItemState>();
  #window: RetainedWindow;
  #head: Head;
  #stopBookmark: StopTimer | undefined;
  #removed = false;

  constructor(
    publication: Publication,
    readonly limits: WatchLimits,
    readonly clock: Clock,
    readonly tally: Tally,
    readonly waves: Waves,
  ) {
    this.#head = this.#createHead(publication);
    this.#window = new RetainedWindow(publication.position.revision, limits.retainedIds);
    for (const item of publication.items) this.#set(item);
  }

  get position(): Position {
    return this.#head.position;
  }

  get watchers(): ReadonlySet<Watcher> {
    return this.#watchers;
  }

  get removed(): boolean {
    return this.#removed;
  }

  join(watcher: Watcher): void {
    this.#watchers.add(watcher);
    this.tally.watchers++;
  }

  leave(watcher: Watcher): void {
    if (this.#watchers.delete(watcher)) this.tally.watchers--;
  }

  /** Starts again from a whole state, of any epoch. Watchers are sent everything. */
  reset(publication: Publication): void {
    this.#items = new Map();
    for (const item of publication.items) this.#set(item);
    this.#window = new RetainedWindow(publication.position.revision, this.limits.retainedIds);
    this.#moveHead(publication);
    this.wake();
  }

  publish(publication: Publication): void {
    const { position, items } = publication;
    const from = this.#head.position;
    invariant(position.epoch === from.epoch, "a revision of another epoch was published");
    invariant(position.revision > from.revision, `revision ${position.revision} was published after ${from.revision}`);
    for (const item of items) this.#set(item);
    this.#window.add({ revision: position.revision, ids: [...new Set(items.map(watchItemId))] });
    this.#moveHead(publication);
    if (items.length > 0) this.wake(publication.isUrgent);
    else if (this.#watchers.size > 0) this.#bookmark();
  }

  /** Takes up changes from before the head, all those after `floor`, so that watchers can go on from there. */
  prime(floor: bigint, changes: readonly RetainedChange[]): void {
    const { revision } = this.#head.position;
    invariant(floor <= revision, `the past cannot begin at ${floor}, after the head at ${revision}`);
    const window = new RetainedWindow(floor, this.limits.retainedIds);
    for (const change of changes) {
      invariant(change.revision <= revision, `the past cannot hold ${change.revision}, after the head at ${revision}`);
      window.add(change);
    }
    this.#window = window;
  }

  remove(): void {
    this.#removed = true;
    this.#head.release();
    this.wake();
  }

  /** Tells the watchers that there is news, in the turns of the event loop to come. */
  wake(isUrgent = false): void {
    this.#stopBookmark?.();
    this.#stopBookmark = undefined;
    this.waves.start(this.#watchers, isUrgent);
  }

  /** Lets the watchers know of a position that brought nothing, but not of each such position. */
  #bookmark(): void {
    this.#stopBookmark ??= this.clock.after(this.limits.bookmarkDelayMs, () => this.wake());
  }

  /** Whether a position is of this epoch and still to come. */
  isAhead({ epoch, revision }: Position): boolean {
    const head = this.#head.position;
    return epoch === head.epoch && revision > head.revision;
  }

  /** The update for a stream that begins: always one, whatever the position. */
  firstUpdate(position: Position | undefined): readonly Frame[] {
    if (position === undefined || !this.#isRetained(position)) return this.#full();
    if (position.revision === this.position.revision) {
      this.tally.nones++;
      return this.#head.none();
    }
    this.tally.deltas++;
    return this.#delta(position);
  }

  /** What leads from a position to the head; a heartbeat where nothing changed. */
  nextUpdate(position: Position): readonly Frame[] {
    if (!this.#isRetained(position)) return this.#full();
    const frames = this.#delta(position);
    const content = frames.length === 1 ? frames[0]?.content : undefined;
    if (content?.kind === "update" && content.items.length === 0) return this.heartbeat();
    this.tally.deltas++;
    return frames;
  }

  heartbeat(): readonly Frame[] {
    this.tally.heartbeats++;
    return this.#head.heartbeat();
  }

  #isRetained({ epoch, revision }: Position): boolean {
    const head = this.#head.position;
    return epoch === head.epoch && revision <= head.revision && revision >= this.#window.floor;
  }

  #full(): readonly Frame[] {
    this.tally.fulls++;
    return this.#head.full(() => Array.from(this.#items.values(), ({ parts }) => parts).flat());
  }

  #delta(from: Position): readonly Frame[] {
    return this.#head.delta(from.revision, () => {
      return Array.from(this.#window.since(from.revision), (id) => this.#stateOf(id)).flat();
    });
  }

  #stateOf(id: WatchItemId): readonly EncodedItem[] {
    return this.#items.get(id)?.parts ?? [new EncodedItem(deletionOf(id), this.tally)];
  }

  #set(item: WatchItem): void {
    const id = watchItemId(item);
    if (isDeletion(item)) this.#items.delete(id);
    else this.#items.set(id, new ItemState(item, this.limits.maxMessageBytes, this.tally));
  }

  #moveHead(publication: Publication): void {
    this.#head.release();
    this.#head = this.#createHead(publication);
  }

  #createHead({ position, digest }: Publication): Head {
    return new Head(position, digest, this.limits.maxMessageBytes, this.tally);
  }
}
