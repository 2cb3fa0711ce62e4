import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AdminService,
  type RollbackRequest,
  RollbackRequestSchema,
  type RollbackResponse,
  RollbackResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Change } from "../../../gen/flagwire/v1/history_pb.js";
import type { IdempotentWrite } from "../../store/index.js";
import { authorOf } from "../access/author.js";
import { refuseEverywhere, resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { ImpactPreview } from "../impacts/impact-preview.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import { awaitNamedRevision } from "../state/await-named-revision.js";
import type { Catalog } from "../state/catalog.js";
import { checkChanges, type Finding } from "../validate/change-set.js";
import type { Admin } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { readEntry, WHOLE_ENTRY } from "./history-entry.js";
import { PastRecords } from "./past-records.js";
import { refuseUnreachable } from "./past-revision.js";
import {
  draftRollback,
  isWantedBy,
  type RollbackScope,
  skippedEnvironments,
  toHistoryChange,
} from "./rollback-draft.js";
import { type ShownChanges, shownChanges } from "./shown-entry.js";
import { runSteps, type Steps } from "./steps.js";
import { fingerprintOf } from "./write-request.js";
import type { Draft, Write } from "./writer.js";

type Handlers = ServiceHandlers<typeof AdminService>;

const FIELD = "to_revision";
const MAX_ATTEMPTS = 100;
const MAX_NAMED = 100;

export function rollbackHandler(admin: Admin): Handlers["rollback"] {
  return async (request, call) => {
    const scope = scopeOf(request, call);
    if (isRefusal(scope)) return scope;
    if (request.toRevision === 0n)
      return invalidArgument([{ field: FIELD, description: "is required: a revision, from 1 on" }]);
    return answerStore(() => new Rollback(admin, request, scope, call).run());
  };
}

function scopeOf({ flagKey, environment: name }: RollbackRequest, call: Call): OrRefusal<RollbackScope> {
  if (name === "") return refuseEverywhere(call) ?? { flagKey, environment: "" };
  const environment = resolveEnvironment(name, call);
  return isRefusal(environment) ? environment : { flagKey, environment };
}

/** The draft was asked for at a state whose history was not read yet. */
const moved = new Refusal("ABORTED", "TOO_MANY_CONFLICTS", "other writes kept changing the same records; try again");

/** One rollback: its draft may be made more than once, and the answer tells of the last. */
class Rollback {
  #changes: readonly Change[] = [];
  #skipped: readonly string[] = [];
  readonly #preview: ImpactPreview | undefined;

  constructor(
    readonly admin: Admin,
    readonly request: RollbackRequest,
    readonly scope: RollbackScope,
    readonly call: Call,
  ) {
    this.#preview = request.dryRun ? new ImpactPreview(admin, call) : undefined;
  }

  async run(): Promise<OrRefusal<RollbackResponse>> {
    const { head, writer } = this.admin;
    const { toRevision } = this.request;
    await awaitNamedRevision(head, writer.clock, toRevision);
    const unreachable = refuseUnreachable(toRevision, head, FIELD);
    if (isRefusal(unreachable)) return this.#refuse(unreachable);
    const past = new PastRecords(head, toRevision, isWantedBy(this.scope));
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const refusal = await past.read(this.call.signal, FIELD);
      if (refusal !== undefined) return this.#refuse(refusal);
      const written = await this.#writeFollowing(past);
      if (written !== moved) return isRefusal(written) ? written : this.#answer(written);
    }
    return moved;
  }

  /** While others write: a large one is prepared in several turns. */
  async #writeFollowing(past: PastRecords): Promise<OrRefusal<Written>> {
    const stop = new AbortController();
    const following = past.follow(stop.signal);
    try {
      const comment = this.request.comment || commentOf(past, this.scope);
      return await this.#write(comment, (catalog) => this.#draft(past, catalog));
    } finally {
      stop.abort();
      await following;
    }
  }

  /** By the writer too: an earlier attempt was carried out, whatever history has dropped since. */
  async #refuse(refusal: Refusal): Promise<OrRefusal<RollbackResponse>> {
    const written = await this.#write(this.request.comment, () => refusal);
    return isRefusal(written) ? written : this.#answer(written);
  }

  #write(comment: string, draft: Write<Written>["draft"]): Promise<OrRefusal<Written>> {
    const { request, call } = this;
    return this.admin.writer.write({
      fields: { ...request, comment },
      fingerprint: fingerprintOf(RollbackRequestSchema, [request]),
      author: authorOf(call),
      signal: call.signal,
      trace: call.trace,
      draft,
      answer: (_catalog, revision, earlier) => ({ revision, earlier }),
    });
  }

  *#draft(past: PastRecords, catalog: Catalog): Steps<OrRefusal<Draft>> {
    if (!past.isCurrent) return moved;
    const missing = this.#refuseMissing(past, catalog);
    if (missing !== undefined) return missing;
    const { head, writer } = this.admin;
    const changes = yield* draftRollback(past, catalog, this.scope, writer.clock.now());
    const findings = yield* checkChanges(head, changes);
    if (findings.length > 0) return refuseResult(this.request.toRevision, findings);
    this.#skipped = skippedEnvironments(past.catalog, catalog);
    this.#changes = changes.map((change) => toHistoryChange(change, catalog));
    if (this.#preview !== undefined) yield* this.#preview.compile(changes);
    return { changes, reads: "all", brokenReason: "ROLLBACK_REFUSED", unchecked: true };
  }

  #refuseMissing(past: PastRecords, now: Catalog): Refusal | undefined {
    const { flagKey, environment } = this.scope;
    const then = past.catalog;
    if (environment !== "") {
      if (now.environment(environment) === undefined) return environmentNotFound(environment);
      if (then.environment(environment) === undefined) return environmentMissing(environment, past.revision);
    }
    if (flagKey === "" || now.flag(flagKey) !== undefined) return undefined;
    if (then.flag(flagKey) === undefined) return flagNotFound(flagKey);
    return environment === "" ? undefined : flagGone(flagKey, past.revision);
  }

  async #answer({ revision, earlier }: Written): Promise<OrRefusal<RollbackResponse>> {
    const impacts = (await this.#preview?.impacts()) ?? [];
    if (isRefusal(impacts)) return impacts;
    const rest = create(RollbackResponseSchema, { revision, skippedEnvironments: [...this.#skipped], impacts });
    const maxBytes = WHOLE_ENTRY.maxBytes - toBinary(RollbackResponseSchema, rest).length;
    const part = { ...WHOLE_ENTRY, maxBytes, maySee: () => true, isAsked: () => true };
    const showing = shownChanges(await this.#madeChanges(revision, earlier), part);
    const { changes, omitted } = await runSteps<ShownChanges, never>(showing, this.admin.writer.turns, () => undefined);
    return create(RollbackResponseSchema, { ...rest, changes, omittedChanges: omitted });
  }

  /** What an earlier attempt changed is in history, as long as that is kept. */
  async #madeChanges(revision: bigint, earlier: IdempotentWrite | undefined): Promise<readonly Change[]> {
    const drafted = earlier === undefined ? this.#changes : [];
    const isMade = earlier === undefined ? revision !== 0n && drafted.length > 0 : !earlier.changedNothing;
    const entry = isMade ? await readEntry(this.admin.head.store, revision) : undefined;
    return entry?.changes ?? drafted;
  }
}

/** What the writer answers with: revision 0 for a dry run. */
interface Written {
  readonly revision: bigint;
  /** The attempt that was carried out, where this one was not. */
  readonly earlier: IdempotentWrite | undefined;
}

/** Says what could not come back. */
function commentOf(past: PastRecords, { environment }: RollbackScope): string {
  const gone = environment === "" ? past.lostEnvironments().map(({ name }) => name) : [];
  const names = gone.slice(0, 5).join(", ") + (gone.length > 5 ? ` and ${gone.length - 5} more` : "");
  return `rollback to ${past.revision}${gone.length > 0 ? `, without the deleted environments ${names}` : ""}`;
}

function environmentMissing(name: string, revision: bigint): Refusal {
  const message = `there was no environment ${JSON.stringify(name)} at revision ${revision}: there is nothing to go back to`;
  return new Refusal("NOT_FOUND", "ENVIRONMENT_NOT_FOUND", message, { metadata: { environment: name } });
}

function flagGone(key: string, revision: bigint): Refusal {
  const message = `there is no flag ${JSON.stringify(key)} any more; without an environment, a rollback to ${revision} brings it back`;
  return new Refusal("NOT_FOUND", "FLAG_NOT_FOUND", message, { metadata: { flag_key: key } });
}

/** What was sound then need not be with what stays as it is. */
function refuseResult(revision: bigint, findings: readonly Finding[]): Refusal {
  const items = [...new Set(findings.map(({ kind, key }) => `${kind} ${key}`))];
  const list = items.slice(0, 5).join(", ") + (items.length > 5 ? ` and ${items.length - 5} more` : "");
  const violations = findings.slice(0, MAX_NAMED).map(({ kind, key, environment, field, description }) => ({
    field: `${kind}s[${JSON.stringify(key)}].${field}`,
    description: environment === "" ? description : `${description} (in ${environment})`,
  }));
  const more = findings.length - violations.length;
  if (more > 0) violations.push({ field: "", description: `and ${more} more` });
  const message = `what was there at revision ${revision} does not fit what stays as it is: ${list}; nothing was changed`;
  return new Refusal("FAILED_PRECONDITION", "ROLLBACK_REFUSED", message, { violations });
}
