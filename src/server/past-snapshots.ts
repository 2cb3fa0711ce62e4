import { create, toBinary } from "@bufbuild/protobuf";
import { PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, Sequence } from "../base/index.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";
import type { RecordChange } from "../store/index.js";
import { segmentBytes } from "../watch/index.js";
import { PastRecords, type WantedChange } from "./admin/past-records.js";
import { historyCompacted, refuseUnreachable } from "./admin/past-revision.js";
import { eventLoopTurns, runSteps, type Steps } from "./admin/steps.js";
import { PastTimes } from "./past-times.js";
import { isRefusal, type OrRefusal, Refusal } from "./refusal.js";
import { awaitNamedRevision } from "./state/await-named-revision.js";
import type { Head } from "./state/head.js";
import { allItems, changedItems } from "./state/watch-items.js";

const MAX_KEPT = 8;
/** Of all that are kept, beside what they share with the head, in bytes. The newest is kept whatever it holds. */
const MAX_KEPT_BYTES = 33_554_432;
/** How many flags and segments are compiled in one step. */
const ITEMS_PER_STEP = 500;

interface Kept {
  readonly snapshot: Snapshot;
  readonly sizeBytes: number;
}

/** What environments were at earlier revisions, made from the head and from history, one at a time; a few are kept. */
export class PastSnapshots {
  readonly #kept = new Map<string, Kept>();
  readonly #times: PastTimes;
  readonly #sequence = new Sequence();

  constructor(
    readonly head: Head,
    readonly clock: Clock,
    readonly maxKeptBytes = MAX_KEPT_BYTES,
  ) {
    this.#times = new PastTimes(head.store);
  }

  /** An environment as it was after a revision. `field` is what the request has named it in. */
  async at(environment: string, revision: bigint, field: string, signal: AbortSignal): Promise<OrRefusal<Snapshot>> {
    await awaitNamedRevision(this.head, this.clock, revision);
    const unreachable = refuseUnreachable(revision, this.head, field);
    if (isRefusal(unreachable)) return unreachable;
    const key = `${revision}/${environment}`;
    return (
      this.#take(key) ??
      this.#sequence.next(async () => this.#take(key) ?? this.#make(environment, revision, field, signal))
    );
  }

  /** The newest revision that had been committed by then; 0 for none. */
  revisionAt(timeMs: number, field: string, signal: AbortSignal): Promise<OrRefusal<bigint>> {
    return this.#sequence.next(async () => {
      const { head } = this;
      const revision = await this.#times.revisionAt(timeMs, head.revision, signal);
      if (signal.aborted) return cancelled;
      if (revision !== undefined) return revision;
      const { oldest } = head.store.edges();
      return oldest <= 1n ? 0n : historyCompacted(new Date(timeMs).toISOString(), oldest, field);
    });
  }

  async #make(environment: string, revision: bigint, field: string, signal: AbortSignal): Promise<OrRefusal<Snapshot>> {
    const past = new PastRecords(this.head, revision, isOf(environment));
    const refusal = await past.read(signal, field);
    if (refusal !== undefined) return refusal;
    const source = this.#sourceOf(past, environment);
    if (isRefusal(source)) return source;
    const made = await runSteps(compileAndMeasure(source), eventLoopTurns(this.clock), () =>
      signal.aborted ? cancelled : undefined,
    );
    if (isRefusal(made)) return made;
    this.#keep(`${revision}/${environment}`, made);
    return made.snapshot;
  }

  /** All that is needed of the head, taken at once: it moves on. */
  #sourceOf(past: PastRecords, environment: string): OrRefusal<Source> {
    const { head } = this;
    const { revision } = past;
    const then = past.catalog;
    if (then.environment(environment) === undefined) {
      const name = JSON.stringify(environment);
      const message =
        revision === 0n
          ? `there was no environment ${name} yet: it was before the first revision`
          : `there was no environment ${name} at revision ${revision}`;
      return new Refusal("NOT_FOUND", "ENVIRONMENT_NOT_FOUND", message, { metadata: { environment } });
    }
    const position = create(PositionSchema, { epoch: head.epoch, revision });
    const base = head.snapshot(environment);
    // What has not changed since is compiled already.
    const toChanged = ({ id, after }: RecordChange) => ({ before: head.catalog.record(id), after });
    return base === undefined
      ? { base: emptySnapshot(environment), items: allItems(then, environment), position }
      : {
          base,
          items: changedItems(then, [environment], past.changes.map(toChanged)).get(environment) ?? [],
          position,
        };
  }

  #take(key: string): Snapshot | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.snapshot;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept);
    let sizeBytes = [...this.#kept.values()].reduce((sum, one) => sum + one.sizeBytes, 0);
    for (const [oldest, one] of this.#kept) {
      if (this.#kept.size <= MAX_KEPT && sizeBytes <= this.maxKeptBytes) break;
      if (oldest === key) break;
      this.#kept.delete(oldest);
      sizeBytes -= one.sizeBytes;
    }
  }
}

const cancelled = new Refusal("CANCELLED", "CANCELLED", "the caller has gone");

/** A snapshot, and what has to be applied to make another one of it. */
interface Source {
  readonly base: Snapshot;
  readonly items: readonly WatchItem[];
  readonly position: Snapshot["position"];
}

function* compileAndMeasure(source: Source): Steps<Kept> {
  const snapshot = yield* compile(source);
  return { snapshot, sizeBytes: yield* sizeOf(source.items) };
}

/** In parts: what one part needs of a later one is compiled anew with that. */
function* compile({ base, items, position }: Source): Steps<Snapshot> {
  let snapshot = base.apply("delta", items.slice(0, ITEMS_PER_STEP), position);
  for (let from = ITEMS_PER_STEP; from < items.length; from += ITEMS_PER_STEP) {
    yield;
    snapshot = snapshot.apply("delta", items.slice(from, from + ITEMS_PER_STEP), position);
  }
  return snapshot;
}

function isOf(environment: string): WantedChange {
  return (change) => {
    switch (change.kind) {
      case "flag":
        return true;
      case "targeting":
      case "segment":
        return change.environment === environment;
      case "environment":
        return change.key === environment;
      default:
        return false;
    }
  };
}

/** As they are encoded. Compiled they take several times as much. */
function* sizeOf(items: readonly WatchItem[]): Steps<number> {
  let sizeBytes = 0;
  for (const item of items) {
    sizeBytes += item.kind.case === "segment" ? segmentBytes(item.kind.value) : toBinary(WatchItemSchema, item).length;
    yield;
  }
  return sizeBytes;
}
