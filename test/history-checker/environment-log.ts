import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { Sum } from "./sum.js";

/** What an item was from a revision on; undefined: absent. */
export interface LoggedItem {
  /** Of its whole content. */
  readonly version: string;
  /** Its line in the digest. See UpdateCommit.digest. */
  readonly digestText: string;
  /** As a server would send it, in one piece. */
  readonly item: WatchItem;
}

interface State {
  readonly revision: number;
  readonly exists: boolean;
  readonly content: string;
  readonly digest: string;
}

/** One environment in one epoch: what it was at each revision. */
export class EnvironmentLog {
  readonly #states: State[] = [];
  readonly #items = new Map<string, { readonly revision: number; readonly now: LoggedItem | undefined }[]>();
  readonly #content = new Sum();
  readonly #digest = new Sum();

  /** A revision that touched it: what became of each of its items that were touched. */
  move(revision: number, exists: boolean, items: ReadonlyMap<string, LoggedItem | undefined>): void {
    for (const [id, now] of items) {
      const past = this.#items.get(id) ?? [];
      this.#items.set(id, past);
      const before = past.at(-1)?.now;
      if (before !== undefined) {
        this.#content.remove(contentText(id, before.version));
        this.#digest.remove(before.digestText);
      }
      if (now !== undefined) {
        this.#content.add(contentText(id, now.version));
        this.#digest.add(now.digestText);
      }
      past.push({ revision, now });
    }
    this.#states.push({ revision, exists, content: String(this.#content), digest: String(this.#digest) });
  }

  /** Undefined where there was no such environment yet. */
  at(revision: number): State | undefined {
    return newestUpTo(this.#states, revision);
  }

  /** The first revision after one that touched it. */
  firstTouched(after: number): number | undefined {
    return this.#states.find(({ revision }) => revision > after)?.revision;
  }

  /** Whether it was absent at a revision or at some time after it. */
  wasAbsentSince(revision: number): boolean {
    return (
      this.at(revision)?.exists !== true || this.#states.some((state) => state.revision > revision && !state.exists)
    );
  }

  item(id: string, revision: number): LoggedItem | undefined {
    return newestUpTo(this.#items.get(id) ?? [], revision)?.now;
  }

  /** All that there is at a revision. */
  items(revision: number): Map<string, LoggedItem> {
    const items = new Map<string, LoggedItem>();
    for (const id of this.#items.keys()) {
      const item = this.item(id, revision);
      if (item !== undefined) items.set(id, item);
    }
    return items;
  }

  /** All items that it ever had and still has. */
  ids(): Iterable<string> {
    return this.#items.keys();
  }

  /** Whether an item was touched after one revision and up to another. */
  wasTouched(id: string, after: number, upTo: number): boolean {
    const newest = newestUpTo(this.#items.get(id) ?? [], upTo);
    return newest !== undefined && newest.revision > after;
  }
}

/** Adds up to `State.content`. */
export function contentText(id: string, version: string): string {
  return `${id}\n${version}`;
}

function newestUpTo<T extends { readonly revision: number }>(list: readonly T[], revision: number): T | undefined {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = list[middle];
    if (entry !== undefined && entry.revision <= revision) low = middle + 1;
    else high = middle;
  }
  return list[low - 1];
}
