import { equals } from "@bufbuild/protobuf";
import type { Attributes } from "@opentelemetry/api";
import { type Record, RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type Clock, Sequence } from "../../base/index.js";
import {
  type CommitResult,
  type IdempotentWrite,
  type Precondition,
  type RecordChange,
  type RecordId,
  recordRevision,
  type Transaction,
} from "../../store/index.js";
import { invalidArgument } from "../environment.js";
import { keepRamps } from "../ramps/keep-ramps.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import { awaitNamedRevision } from "../state/await-named-revision.js";
import type { Catalog } from "../state/catalog.js";
import type { Head } from "../state/head.js";
import type { CallTrace } from "../tracing/call-trace.js";
import { checkChanges } from "../validate/change-set.js";
import { answerStore } from "./answer-store.js";
import { refuseFindings } from "./findings.js";
import { stamp, withoutStamps } from "./stamp.js";
import { eventLoopTurns, runAtOnce, runSteps, type Steps, type Turns } from "./steps.js";
import { checkWriteFields, type WriteFields } from "./write-request.js";

/** What a write wants to change, worked out against one state. */
export interface Draft {
  readonly changes: readonly RecordChange[];
  /**
   * The records that the changes were decided on, beside those that they change. `all` where references between flags,
   * segments and environments count, which any other write could break.
   */
  readonly reads: readonly RecordId[] | "all";
  /** The reason (FLAG_IN_USE …) of the refusal where it breaks something that it does not touch. */
  readonly brokenReason: string;
  /**
   * Needs no check: it makes no difference to what is well formed, and so works on what is malformed too (kill and revive),
   * or it was checked when it was made.
   */
  readonly unchecked?: true;
  /** See Transaction. */
  readonly isUrgent?: true;
  /** Whether it may change ramps. Otherwise they stay as they are, as far as what else is changed lets them. */
  readonly setsRamps?: true;
}

/** One write. */
export interface Write<T> {
  readonly fields: WriteFields;
  readonly fingerprint: string;
  readonly author: string;
  /** Aborts when nobody waits for the answer any more: what is not committed by then never is. */
  readonly signal: AbortSignal;
  /** See Call. */
  readonly trace?: CallTrace | undefined;
  /** Works the changes out, in steps where it is much work. Called again after a conflict with another write. */
  readonly draft: (catalog: Catalog) => OrRefusal<Draft> | Steps<OrRefusal<Draft>>;
  /**
   * Makes the answer from the state after the write; revision 0 for a dry run. `earlier`: an attempt that was carried out, and
   * the draft was not.
   */
  readonly answer: (catalog: Catalog, revision: bigint, earlier: IdempotentWrite | undefined) => OrRefusal<T>;
}

const MAX_ATTEMPTS = 100;

/**
 * A large write that lets others on while it is prepared may find, each time, that they changed something. From then on it
 * is prepared at once: others wait, but it comes to an end.
 */
const MAX_PAUSING_ATTEMPTS = 5;

/** A draft with nothing in it that changes nothing, checked. */
interface PreparedDraft extends Draft {
  /** The revision that it was made from. The head may have moved on since. */
  readonly revision: bigint;
  /** What it decided on, also where it came to the conclusion that there is nothing to change. */
  readonly decided: readonly RecordId[];
}

/** What came of preparing a write: `again` where the state moved meanwhile. */
type Prepared = OrRefusal<PreparedDraft> | "again";

/** The one path by which anything is changed: work out, check, commit, wait until it is visible, answer. */
export class Writer {
  /** Writes that depend on everything take turns, so that they do not invalidate each other's work again and again. */
  readonly #sequence = new Sequence();

  constructor(
    readonly head: Head,
    readonly clock: Clock,
    readonly turns: Turns = eventLoopTurns(clock),
  ) {}

  write<T>(write: Write<T>): Promise<OrRefusal<T>> {
    return answerStore(() => this.#write(write));
  }

  async #write<T>(write: Write<T>): Promise<OrRefusal<T>> {
    const violations = checkWriteFields(write.fields);
    if (violations.length > 0) return invalidArgument(violations);
    await awaitNamedRevision(this.head, this.clock, write.fields.expectedRevision ?? 0n);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const result = await this.#attempt(write, attempt < MAX_PAUSING_ATTEMPTS);
      if (result !== "again") return result;
    }
    return new Refusal("ABORTED", "TOO_MANY_CONFLICTS", "other writes kept changing the same records; try again");
  }

  async #attempt<T>(write: Write<T>, mayPause: boolean): Promise<OrRefusal<T> | "again"> {
    const preparing = this.#prepare(write, mayPause);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    if (isDraft(prepared) && prepared.reads === "all" && isWorthCommitting(write, prepared))
      return this.#inTurn(write, mayPause, prepared);
    return this.#finish(write, prepared);
  }

  #inTurn<T>(write: Write<T>, mayPause: boolean, draft: PreparedDraft): Promise<OrRefusal<T> | "again"> {
    // Prepared again where the state moved while others had their turn.
    return this.#sequence.next(async () => {
      const preparing = this.head.revision === draft.revision ? draft : this.#prepare(write, mayPause);
      return this.#finish(write, preparing instanceof Promise ? await preparing : preparing);
    });
  }

  async #finish<T>(write: Write<T>, draft: Prepared): Promise<OrRefusal<T> | "again"> {
    if (draft === "again") return draft;
    if (!isRefusal(draft) && isWorthCommitting(write, draft)) return this.#commit(write, draft);
    const { revision } = this.head;
    const answer = this.#answerUncommitted(write, draft);
    // What it found done is as visible as what it does. Of what the store answers with, that knows.
    if (!isRefusal(draft) && !write.fields.dryRun) await this.head.store.seenByAll(revision);
    // Looked up after the draft was made: if that was refused because of an earlier attempt at the same write, then that
    // attempt is found. The store looks for those that are committed.
    return (await this.#findRepeated(write)) ?? answer;
  }

  #answerUncommitted<T>(write: Write<T>, draft: OrRefusal<Draft>): OrRefusal<T> {
    if (isRefusal(draft)) return draft;
    const { catalog, revision } = this.head;
    return write.fields.dryRun
      ? write.answer(catalog.with(draft.changes), 0n, undefined)
      : write.answer(catalog, revision, undefined);
  }

  /** A promise only where it paused. */
  #prepare<T>(write: Write<T>, mayPause: boolean): Prepared | Promise<Prepared> {
    const { head } = this;
    const { revision } = head;
    const steps = this.#prepareSteps(write);
    if (!mayPause) return runAtOnce(steps);
    return runSteps<Prepared, Prepared>(steps, this.turns, () => {
      if (write.signal.aborted) return cancelled();
      return head.revision === revision ? undefined : "again";
    });
  }

  /** Whatever it reads of the head is of one revision: it does not go on once that has moved. */
  *#prepareSteps<T>(write: Write<T>): Steps<OrRefusal<PreparedDraft>> {
    const { head } = this;
    const { catalog, revision } = head;
    const drafted = write.draft(catalog);
    const draft = isSteps(drafted) ? yield* drafted : drafted;
    if (isRefusal(draft)) return draft;
    const stale = this.#refuseStale(write.fields.expectedRevision, draft);
    if (stale !== undefined) return stale;
    const context = { catalog, author: write.author, timeMs: this.clock.now() };
    const changes: RecordChange[] = [];
    for (const wanted of draft.changes) {
      const change = draft.setsRamps ? wanted : keepRamps(wanted, catalog.record(wanted.id), context.timeMs);
      if (differs(catalog.record(change.id), change.after)) changes.push(stamp(change, context));
      yield;
    }
    const findings = draft.unchecked ? [] : yield* checkChanges(head, changes);
    if (findings.length > 0) return refuseFindings(findings, draft.brokenReason);
    return { ...draft, changes, revision, decided: draft.changes.map(({ id }) => id) };
  }

  #refuseStale(expected: bigint | undefined, draft: Draft): Refusal | undefined {
    if (expected === undefined) return undefined;
    const { head } = this;
    if (expected > head.revision) return revisionConflict(expected, head.revision, "does not exist yet");
    for (const { id } of draft.changes) {
      const record = head.catalog.record(id);
      if (record !== undefined && recordRevision(record) > expected) {
        return revisionConflict(expected, recordRevision(record), `is stale: ${id} was changed since`);
      }
    }
    return undefined;
  }

  async #commit<T>(write: Write<T>, draft: PreparedDraft): Promise<OrRefusal<T> | "again"> {
    if (write.signal.aborted) return cancelled();
    const { head } = this;
    const { idempotencyKey, comment } = write.fields;
    const seen = draft.revision;
    const ids = draft.reads === "all" ? [] : [...draft.decided, ...draft.reads];
    const preconditions: Precondition[] =
      draft.reads === "all"
        ? [{ kind: "head", revision: seen }]
        : ids.map((id) => ({ kind: "unchanged", id, revision: seen }));
    const transaction: Transaction = {
      timeMs: this.clock.now(),
      author: write.author,
      comment,
      changes: draft.changes,
      preconditions,
      idempotency: idempotencyKey === "" ? undefined : { key: idempotencyKey, fingerprint: write.fingerprint },
      isUrgent: draft.isUrgent,
    };
    const commit = (): Promise<CommitResult> => head.store.commit(transaction);
    const result = await (write.trace?.during("store.commit", commit, describeCommit) ?? commit());
    return this.#conclude(write, result);
  }

  async #conclude<T>(write: Write<T>, result: CommitResult): Promise<OrRefusal<T> | "again"> {
    switch (result.kind) {
      case "committed":
      case "unchanged":
        await this.head.reached(result.revision);
        return write.answer(this.head.catalog, result.revision, undefined);
      case "repeated":
        return this.#answerRepeated(write, result.write);
      case "conflict":
        await this.head.reached(result.headRevision);
        return "again";
      case "low-disk": {
        const [free, needed] = [result.freeBytes, result.neededBytes].map((bytes) => Math.ceil(bytes / 1_048_576));
        const message = `the data directory's disk has ${free} MiB left and a write needs ${needed}; nothing was changed; free some space`;
        return new Refusal("RESOURCE_EXHAUSTED", "DISK_FULL", message);
      }
      case "unavailable": {
        const outcome = result.uncertain ? "whether the write was kept is not known" : "nothing was changed";
        return new Refusal("UNAVAILABLE", "STORE_UNAVAILABLE", `the store is not available; ${outcome}`);
      }
    }
  }

  async #findRepeated<T>(write: Write<T>): Promise<OrRefusal<T> | undefined> {
    const { idempotencyKey } = write.fields;
    if (idempotencyKey === "") return undefined;
    const earlier = await this.head.store.findIdempotent(idempotencyKey);
    if (earlier === undefined) return undefined;
    await this.head.store.seenByAll(earlier.revision);
    return this.#answerRepeated(write, earlier);
  }

  async #answerRepeated<T>(write: Write<T>, earlier: IdempotentWrite): Promise<OrRefusal<T>> {
    if (earlier.fingerprint !== write.fingerprint) {
      const message = `the idempotency key was used for another write, answered with revision ${earlier.revision}`;
      return new Refusal("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED", message);
    }
    await this.head.reached(earlier.revision);
    return write.answer(this.head.catalog, earlier.revision, earlier);
  }
}

/** What a trace tells of a commit. */
function describeCommit(result: CommitResult): Attributes {
  return {
    "flagwire.commit.result": result.kind,
    ...(result.kind === "committed" && { "flagwire.revision": String(result.revision) }),
  };
}

function isDraft(prepared: Prepared): prepared is PreparedDraft {
  return prepared !== "again" && !isRefusal(prepared);
}

function isSteps<T>(value: T | Steps<T>): value is Steps<T> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function cancelled(): Refusal {
  return new Refusal("CANCELLED", "CANCELLED", "the caller has gone; nothing was changed");
}

/**
 * A write that changes nothing keeps its idempotency key: an earlier attempt that is still on its way, and would find
 * something to change later, must not do so after the answer.
 */
function isWorthCommitting<T>({ fields }: Write<T>, draft: Draft): boolean {
  return !fields.dryRun && (draft.changes.length > 0 || fields.idempotencyKey !== "");
}

function revisionConflict(expected: bigint, actual: bigint, why: string): Refusal {
  const message = `expected_revision ${expected} ${why} (revision ${actual}); read again and decide again`;
  return new Refusal("ABORTED", "REVISION_CONFLICT", message, {
    violations: [{ field: "expected_revision", description: why }],
    metadata: { expected_revision: String(expected), revision: String(actual) },
  });
}

/** Whether an author decided anything differently. */
export function differs(before: Record | undefined, after: Record | undefined): boolean {
  if (before === undefined || after === undefined) return before !== after;
  return !sameContent(withoutStamps(before), withoutStamps(after));
}

/** Compares the keys of segments, which may be a million, without looking at them as fields of a message. */
function sameContent(before: Record, after: Record): boolean {
  if (before.kind.case === "segment" && after.kind.case === "segment") {
    const [one, other] = [before.kind.value, after.kind.value];
    if (!sameTexts(one.included, other.included) || !sameTexts(one.excluded, other.excluded)) return false;
    for (const copy of [one, other]) {
      copy.included = [];
      copy.excluded = [];
    }
  }
  return equals(RecordSchema, before, after);
}

function sameTexts(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((text, index) => text === others[index]);
}
