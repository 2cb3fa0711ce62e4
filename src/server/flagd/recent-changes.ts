import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Clock } from "../../base/index.js";
import type { Snapshot } from "../../engine/index.js";
import type { Head } from "../state/head.js";
import { type ChangeType, configurationChanges } from "./change-events.js";
import type { Snapshots } from "./followed-snapshots.js";
import type { StreamEvent } from "./stream-event.js";

/**
 * How long a provider may have been without its stream, in milliseconds: some wait two minutes before they open another, and go
 * on caching meanwhile.
 */
const RECENT_MS = 300_000;
/** How long what was found is told again, in milliseconds, to streams that open one after the other. */
const KEPT_MS = 10_000;

/**
 * What a stream is told when it opens: all that changed while its provider may have had none. What providers cache they never
 * ask again unless an event names it, and not all of them drop it when their stream ends.
 */
export class RecentChanges {
  readonly #head: Pick<Head, "catalog">;
  readonly #clock: Clock;
  /** Of each environment alone: a change of one leaves the snapshots of the others as they were. */
  readonly #keys = new Kept<Snapshot, readonly string[]>();
  readonly #events = new Kept<Snapshots, readonly StreamEvent[]>();

  constructor(head: Pick<Head, "catalog">, clock: Clock) {
    this.#head = head;
    this.#clock = clock;
  }

  /** Of the flags in the environments of `snapshots`, which are those of the head now. */
  events(snapshots: Snapshots): readonly StreamEvent[] {
    const nowMs = this.#clock.now();
    return this.#events.get(snapshots, nowMs, () => configurationChanges(this.#changes(snapshots, nowMs)));
  }

  /** By the times that flags and their settings bear, which hold across restarts. What is cached depends on nothing else. */
  #changes(snapshots: Snapshots, nowMs: number): Map<string, ChangeType> {
    const { catalog } = this.#head;
    const isRecent = (time: Timestamp | undefined) => time !== undefined && timestampMs(time) >= nowMs - RECENT_MS;
    const changes = new Map<string, ChangeType>();
    for (const [name, snapshot] of snapshots) {
      const find = () =>
        catalog.flagKeys().filter((key) => {
          return isRecent(catalog.flag(key)?.changedAt) || isRecent(catalog.targeting(name, key)?.changedAt);
        });
      for (const key of this.#keys.get(snapshot, nowMs, find)) changes.set(key, "update");
    }
    for (const key of catalog.reservedKeys()) {
      if (isRecent(catalog.reservedKey(key)?.deletedAt)) changes.set(key, "delete");
    }
    return changes;
  }
}

/** What was made of immutable values, for a while. */
class Kept<K extends object, V> {
  readonly #known = new WeakMap<K, { readonly untilMs: number; readonly value: V }>();

  get(key: K, nowMs: number, make: () => V): V {
    const known = this.#known.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.value;
    const value = make();
    this.#known.set(key, { untilMs: nowMs + KEPT_MS, value });
    return value;
  }
}
