import { setImmediate as nextTurn } from "node:timers/promises";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import { type Clock, systemClock } from "../base/index.js";
import { outlineOfEntry } from "./history-outline.js";
import { HistoryCompacted, type HistoryEdges, type HistoryOutline } from "./store.js";

/** How much of the newest history is held in memory, shared by all tails. */
export interface WindowBounds {
  /** How many transactions. Default 1,024. */
  readonly maxEntries: number;
  /** Their size, in bytes. Default 8 MiB. The newest is held whatever its size: who follows would read it back at once. */
  readonly maxBytes: number;
}

/** A consumer that never waits would keep the process from anything else while it reads all of history. */
const MAX_READS_PER_TURN = 128;
/** A few large entries take as long as many small ones. */
const MAX_TURN_MS = 10;

/** An entry that is durable, with the edges of history after it. */
export interface Acknowledged {
  readonly entry: HistoryEntry;
  readonly sizeBytes: number;
  readonly edges: HistoryEdges;
}

/**
 * What is known to be durable: the edges of history and its newest entries. Tails are cursors into it, never queues; one
 * that is behind the window reads storage, one entry at a time.
 */
export class LiveLog {
  readonly #bounds: WindowBounds;
  readonly #read: (revision: bigint) => HistoryOutline | undefined;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #waiting = new Set<() => void>();
  #edges: HistoryEdges;
  #window: Acknowledged[] = [];
  #windowBytes = 0;
  #closed = false;

  constructor(
    edges: HistoryEdges,
    bounds: WindowBounds,
    /** Reads storage. Undefined: not kept. */
    read: (revision: bigint) => HistoryOutline | undefined,
    clock: Pick<Clock, "monotonicMs"> = systemClock,
  ) {
    this.#edges = edges;
    this.#bounds = bounds;
    this.#read = read;
    this.#clock = clock;
  }

  get edges(): HistoryEdges {
    return this.#edges;
  }

  /** Shows an entry to all tails. Its revision is the one after the newest. */
  publish(acknowledged: Acknowledged): void {
    this.#edges = acknowledged.edges;
    this.#window.push(acknowledged);
    this.#windowBytes += acknowledged.sizeBytes;
    while (this.#window.length > this.#bounds.maxEntries || this.#windowBytes > this.#bounds.maxBytes) {
      if (this.#window.length <= 1) break;
      this.#windowBytes -= this.#window.shift()?.sizeBytes ?? 0;
    }
    this.#wake();
  }

  /**
   * Shows what another process has made durable, which tails then read from storage. Edges that are not newer are
   * overlooked. A log is moved or published to, not both.
   */
  move(edges: HistoryEdges): void {
    if (edges.newest <= this.#edges.newest) return;
    this.#edges = edges;
    this.#wake();
  }

  /** Ends all tails. */
  close(): void {
    this.#closed = true;
    this.#window = [];
    this.#wake();
  }

  /** See Store.tail. */
  async *tail(revision: bigint, signal: AbortSignal): AsyncGenerator<HistoryEntry, void, undefined> {
    let next = revision + 1n;
    const turn = new Turn(this.#clock);
    while (!signal.aborted && !this.#closed) {
      if (next > this.#edges.newest) {
        await this.#moved(signal);
        turn.begin();
        continue;
      }
      yield this.#entry(next++);
      if (turn.isOver()) await turn.next();
    }
  }

  /** See Store.history. */
  async *history(before: bigint | undefined): AsyncGenerator<HistoryEntry, void, undefined> {
    for await (const outline of this.outlines(before)) yield outline.entry();
  }

  /** See Store.outlines. */
  async *outlines(before: bigint | undefined): AsyncGenerator<HistoryOutline, void, undefined> {
    const { newest } = this.#edges;
    const turn = new Turn(this.#clock);
    let revision = before !== undefined && before <= newest ? before - 1n : newest;
    for (; revision >= this.#edges.oldest; revision--) {
      const held = this.#inWindow(revision);
      const outline = held ? outlineOfEntry(held) : this.#read(revision);
      // Trimmed a moment ago, and with it all before it.
      if (!outline) return;
      yield outline;
      if (turn.isOver()) await turn.next();
    }
  }

  #entry(revision: bigint): HistoryEntry {
    const { oldest } = this.#edges;
    if (revision < oldest) throw new HistoryCompacted(revision, oldest);
    const entry = this.#inWindow(revision) ?? this.#read(revision)?.entry();
    // Trimmed by a commit that is durable but not yet acknowledged: that one's edge is not known here.
    if (!entry) throw new HistoryCompacted(revision, oldest > revision ? oldest : revision + 1n);
    return entry;
  }

  #inWindow(revision: bigint): HistoryEntry | undefined {
    const first = this.#window[0];
    if (!first || revision < first.entry.revision) return undefined;
    return this.#window[Number(revision - first.entry.revision)]?.entry;
  }

  /** Resolves at the next entry, at the end of the log, or when `signal` aborts. */
  #moved(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** How much one reader has done since it last let others go on. */
class Turn {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #reads = 0;
  #startedMs: number;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** Counts a read. */
  isOver(): boolean {
    return ++this.#reads >= MAX_READS_PER_TURN || this.#clock.monotonicMs() - this.#startedMs >= MAX_TURN_MS;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.begin();
  }

  begin(): void {
    this.#reads = 0;
    this.#startedMs = this.#clock.monotonicMs();
  }
}
