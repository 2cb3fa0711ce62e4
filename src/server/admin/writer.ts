import { equals } from "@bufbuild/protobuf";
import { type Record, RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { Clock } from "../../base/index.js";
import {
  type CommitResult,
  type IdempotentWrite,
  type Precondition,
  type RecordChange,
  type RecordId,
  recordRevision,
} from "../../store/index.js";
import { invalidArgument } from "../environment.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import type { Head } from "../state/head.js";
import { checkChanges } from "../validate/change-set.js";
import { answerStore } from "./answer-store.js";
import { refuseFindings } from "./findings.js";
import { stamp, withoutStamps } from "./stamp.js";
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
  /** Makes no difference to what is well formed, and so works on what is malformed too: kill and revive. */
  readonly unchecked?: true;
}

/** One write. */
export interface Write<T> {
  readonly fields: WriteFields;
  readonly fingerprint: string;
  readonly author: string;
  /** Works the changes out. Called again after a conflict with another write. */
  readonly draft: (catalog: Catalog) => OrRefusal<Draft>;
  /** Makes the answer from the state after the write; revision 0 for a dry run. */
  readonly answer: (catalog: Catalog, revision: bigint) => OrRefusal<T>;
}

const MAX_ATTEMPTS = 100;

/** The one path by which anything is changed: work out, check, commit, wait until it is visible, answer. */
export class Writer {
  /** Writes that depend on everything take turns, so that they do not invalidate each other's work again and again. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly head: Head,
    readonly clock: Clock,
  ) {}

  write<T>(write: Write<T>): Promise<OrRefusal<T>> {
    return answerStore(() => this.#write(write));
  }

  async #write<T>(write: Write<T>): Promise<OrRefusal<T>> {
    const violations = checkWriteFields(write.fields);
    if (violations.length > 0) return invalidArgument(violations);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const result = await this.#attempt(write);
      if (result !== "again") return result;
    }
    return new Refusal("ABORTED", "TOO_MANY_CONFLICTS", "other writes kept changing the same records; try again");
  }

  #attempt<T>(write: Write<T>): Promise<OrRefusal<T> | "again"> {
    const draft = this.#prepare(write);
    if (!isRefusal(draft) && draft.reads === "all" && isWorthCommitting(write, draft))
      return this.#inTurn(write, draft);
    return this.#finish(write, draft);
  }

  #inTurn<T>(write: Write<T>, draft: Draft): Promise<OrRefusal<T> | "again"> {
    const { revision } = this.head;
    // Prepared again where the state moved while others had their turn.
    const turn = this.#turn.then(() =>
      this.#finish(write, this.head.revision === revision ? draft : this.#prepare(write)),
    );
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #finish<T>(write: Write<T>, draft: OrRefusal<Draft>): Promise<OrRefusal<T> | "again"> {
    if (!isRefusal(draft) && isWorthCommitting(write, draft)) return this.#commit(write, draft);
    const answer = this.#answerUncommitted(write, draft);
    // Looked up after the draft was made: if that was refused, or is empty, because of an earlier attempt at the same
    // write, then that attempt is found. The store looks for those that are committed.
    return (await this.#findRepeated(write)) ?? answer;
  }

  #answerUncommitted<T>(write: Write<T>, draft: OrRefusal<Draft>): OrRefusal<T> {
    if (isRefusal(draft)) return draft;
    const { catalog, revision } = this.head;
    return write.fields.dryRun ? write.answer(catalog.with(draft.changes), 0n) : write.answer(catalog, revision);
  }

  #prepare<T>(write: Write<T>): OrRefusal<Draft> {
    const { head } = this;
    const draft = write.draft(head.catalog);
    if (isRefusal(draft)) return draft;
    const stale = this.#refuseStale(write.fields.expectedRevision, draft);
    if (stale !== undefined) return stale;
    const context = { catalog: head.catalog, author: write.author, timeMs: this.clock.now() };
    const changes = draft.changes
      .filter((change) => differs(head.catalog.record(change.id), change.after))
      .map((change) => stamp(change, context));
    const findings = draft.unchecked ? [] : checkChanges(head, changes);
    if (findings.length > 0) return refuseFindings(findings, draft.brokenReason);
    return { ...draft, changes };
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

  async #commit<T>(write: Write<T>, draft: Draft): Promise<OrRefusal<T> | "again"> {
    const { head } = this;
    const { idempotencyKey, comment } = write.fields;
    const seen = head.revision;
    const ids = draft.reads === "all" ? [] : [...draft.changes.map(({ id }) => id), ...draft.reads];
    const preconditions: Precondition[] =
      draft.reads === "all"
        ? [{ kind: "head", revision: seen }]
        : ids.map((id) => ({ kind: "unchanged", id, revision: seen }));
    const result = await head.store.commit({
      timeMs: this.clock.now(),
      author: write.author,
      comment,
      changes: draft.changes,
      preconditions,
      idempotency: idempotencyKey === "" ? undefined : { key: idempotencyKey, fingerprint: write.fingerprint },
    });
    return this.#conclude(write, result);
  }

  async #conclude<T>(write: Write<T>, result: CommitResult): Promise<OrRefusal<T> | "again"> {
    switch (result.kind) {
      case "committed":
        await this.head.reached(result.revision);
        return write.answer(this.head.catalog, result.revision);
      case "repeated":
        return this.#answerRepeated(write, result.write);
      case "conflict":
        await this.head.reached(result.headRevision);
        return "again";
      case "low-disk": {
        const needed = Math.ceil(result.neededBytes / 1_048_576);
        const message = `the data directory's disk has less than ${needed} MiB left; nothing was changed; free some space`;
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
    return earlier && this.#answerRepeated(write, earlier);
  }

  async #answerRepeated<T>(write: Write<T>, earlier: IdempotentWrite): Promise<OrRefusal<T>> {
    if (earlier.fingerprint !== write.fingerprint) {
      const message = `the idempotency key was used for another write, which made revision ${earlier.revision}`;
      return new Refusal("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED", message);
    }
    await this.head.reached(earlier.revision);
    return write.answer(this.head.catalog, earlier.revision);
  }
}

function isWorthCommitting<T>(write: Write<T>, draft: Draft): boolean {
  return draft.changes.length > 0 && !write.fields.dryRun;
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
  return !equals(RecordSchema, withoutStamps(before), withoutStamps(after));
}
