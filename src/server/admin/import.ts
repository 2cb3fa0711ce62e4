import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ImportRequest,
  ImportRequestSchema,
  type ImportResponse,
  ImportResponseSchema,
  type RefusedItem,
  RefusedItemSchema,
  type ResizedSegment,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Change, FlagFile } from "../../../gen/flagwire/v1/history_pb.js";
import type { RecordChange } from "../../store/index.js";
import { authorOf } from "../access/author.js";
import { resolveEnvironment } from "../access/permit.js";
import { DEFAULT_ENVIRONMENT, environmentNotFound, invalidArgument } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { ImpactPreview } from "../impacts/impact-preview.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { checkChanges, type Finding } from "../validate/change-set.js";
import { refuseUnencodable } from "../validate/encodable.js";
import type { Admin } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { type Culprit, Culprits, leftOutCulprit } from "./culprits.js";
import { draftImport, type LeftOut, leftOutFlag } from "./import-draft.js";
import { toHistoryChanges, withPreview } from "./import-preview.js";
import { refuseEnvironments } from "./import-rights.js";
import { countItems, IncomingFile } from "./incoming-file.js";
import { resizedSegments } from "./resized-segments.js";
import type { Steps } from "./steps.js";
import { fingerprintOf } from "./write-request.js";
import { type Draft, differs } from "./writer.js";

type Handlers = ServiceHandlers<typeof AdminService>;

const MAX_FILE_BYTES = 256 * 1_048_576;
const MAX_NAMED = 100;

/** How often what is refused is left out before the rest is tried again: each time the whole of it is checked. */
const MAX_ROUNDS = 100;

export function importHandler(admin: Admin): Handlers["import"] {
  return async (requests, call) => {
    const received = await receive(requests, call);
    if (isRefusal(received)) return received;
    if (call.signal.aborted) return new Refusal("CANCELLED", "CANCELLED", "the client has gone; nothing was changed");
    const environment = resolveEnvironment(received.first.environment, call);
    if (isRefusal(environment)) return environment;
    const { dryRun } = received.first;
    const preview = dryRun ? new ImpactPreview(admin, call) : undefined;
    const run = new ImportRun(admin, call, received, environment, preview);
    const answer = await admin.writer.write({
      fields: received.first,
      fingerprint: received.fingerprint,
      author: authorOf(call),
      signal: call.signal,
      trace: call.trace,
      draft: (catalog) => run.draft(catalog),
      answer: (_catalog, revision) => run.answer(revision),
    });
    return isRefusal(answer) || preview === undefined
      ? answer
      : answerStore(() => withPreview(answer, run.changes, preview));
  };
}

interface Received {
  readonly first: ImportRequest;
  readonly file: FlagFile;
  readonly fingerprint: string;
}

async function receive(requests: AsyncIterable<ImportRequest>, call: Call): Promise<OrRefusal<Received>> {
  const hash = createHash("sha256");
  let incoming = new IncomingFile("");
  let first: ImportRequest | undefined;
  let bytes = 0;
  for await (const request of requests) {
    if (first === undefined) {
      first = request;
      const environment = resolveEnvironment(request.environment, call);
      if (isRefusal(environment)) return environment;
      incoming = new IncomingFile(environment);
    }
    const { file } = incoming;
    if (incoming.itemCount + countItems(request.file) > contractLimits.fileItems) return tooLarge();
    if (file.flags.length + (request.file?.flags.length ?? 0) > contractLimits.flags) return tooLarge();
    const unencodable = refuseUnencodable(request);
    if (unencodable !== undefined) return unencodable;
    hash.update(fingerprintOf(ImportRequestSchema, [request]));
    bytes += toBinary(ImportRequestSchema, request).length;
    const misplaced = incoming.append(request.file);
    if (misplaced !== undefined) return misplaced;
    if (bytes > MAX_FILE_BYTES) return tooLarge();
  }
  if (first === undefined) return invalidArgument([{ field: "file", description: "at least one message is required" }]);
  return refuseIncomplete(first, incoming) ?? { first, file: incoming.file, fingerprint: hash.digest("hex") };
}

/** A client that gives up may end its stream in good order first. */
function refuseIncomplete({ itemCount }: ImportRequest, { itemCount: received }: IncomingFile): Refusal | undefined {
  if (itemCount === 0 || itemCount === received) return undefined;
  return invalidArgument([{ field: "item_count", description: `is ${itemCount}, but ${received} items came` }]);
}

/** One import: its draft may be made more than once, and the answer tells of the last. */
class ImportRun {
  #refused: readonly RefusedItem[] = [];
  #leftOut: LeftOut = new Set();
  #created: string[] = [];
  #updated: string[] = [];
  #unchanged: string[] = [];
  #segments: string[] = [];
  #resized: readonly ResizedSegment[] = [];
  #retyped: string[] = [];
  #changes: readonly Change[] = [];

  constructor(
    readonly admin: Admin,
    readonly call: Call,
    readonly received: Received,
    readonly environment: string,
    /** In a dry run. */
    readonly preview: ImpactPreview | undefined,
  ) {}

  /** What would be changed, as history would tell it: known in a dry run only. */
  get changes(): readonly Change[] {
    return this.#changes;
  }

  *draft(catalog: Catalog): Steps<OrRefusal<Draft>> {
    const { file, first } = this.received;
    const isKnown = file.environments.some(({ name }) => name === this.environment);
    if (!isKnown && catalog.environment(this.environment) === undefined) return environmentNotFound(this.environment);
    const none: Draft = { changes: [], reads: "all", brokenReason: "IN_USE" };
    if (first.onlyIfEmpty && !isEmpty(catalog)) return none;
    const changes = yield* this.#validChanges(catalog);
    if (isRefusal(changes)) return changes;
    const denied = refuseEnvironments(this.call, changes, catalog);
    if (denied !== undefined) return denied;
    this.#summarise(catalog, changes);
    if (this.preview !== undefined) {
      yield* this.preview.compile(changes);
      this.#changes = yield* toHistoryChanges(changes, catalog);
    }
    return { ...none, changes, unchecked: true };
  }

  answer(revision: bigint): ImportResponse {
    return create(ImportResponseSchema, {
      revision,
      createdFlags: this.#created,
      updatedFlags: this.#updated,
      unchangedFlags: this.#unchanged,
      changedSegments: this.#segments,
      resizedSegments: [...this.#resized],
      retypedFlags: this.#retyped,
      refused: [...this.#refused],
    });
  }

  /** The changes of the file; with `skip_invalid`, of as much of it as is sound. */
  *#validChanges(catalog: Catalog): Steps<OrRefusal<readonly RecordChange[]>> {
    const { file, first } = this.received;
    const settings = { environment: this.environment, force: first.force, timeMs: this.admin.writer.clock.now() };
    const culprits = first.skipInvalid ? new Culprits(file) : undefined;
    const leftOut = new Set<string>();
    const refused: RefusedItem[] = [];
    // Each round leaves something more out, because what was left out may have been needed by the rest.
    for (let round = 1; ; round++) {
      const draft = yield* draftImport(file, settings, catalog, leftOut);
      const changes: RecordChange[] = [];
      for (const change of draft.changes) {
        if (differs(catalog.record(change.id), change.after)) changes.push(change);
        yield;
      }
      const wrong = [...draft.refused.map(fromRefused), ...(yield* checkChanges(this.admin.head, changes))];
      if (wrong.length === 0) {
        this.#refused = refused;
        this.#leftOut = leftOut;
        return changes;
      }
      const sizeBefore = leftOut.size;
      if (culprits !== undefined && round < MAX_ROUNDS) {
        for (const { item, refusal } of blame(wrong, culprits, () => catalog.with(changes))) {
          leftOut.add(leftOutCulprit(item));
          refused.push(toRefused(refusal));
        }
      }
      if (leftOut.size === sizeBefore) return refuseImport(wrong);
    }
  }

  #summarise(catalog: Catalog, changes: readonly RecordChange[]): void {
    const touched = new Set<string>();
    const segments = new Set<string>();
    for (const { after } of changes) {
      const kind = after?.kind;
      if (kind?.case === "flag") touched.add(kind.value.key);
      if (kind?.case === "targeting") touched.add(kind.value.flagKey);
      if (kind?.case === "segment") segments.add(kind.value.key);
    }
    const { file } = this.received;
    const named = new Set([...file.flags.map(({ key }) => key), ...file.targetings.map(({ flagKey }) => flagKey)]);
    const keys = [...named].filter((key) => !this.#leftOut.has(leftOutFlag(key))).sort();
    this.#created = keys.filter((key) => touched.has(key) && catalog.flag(key) === undefined);
    this.#updated = keys.filter((key) => touched.has(key) && catalog.flag(key) !== undefined);
    this.#unchanged = keys.filter((key) => !touched.has(key));
    this.#segments = [...segments].sort();
    this.#resized = resizedSegments(catalog, changes);
    const retyped = file.flags.filter(({ key, type }) => (catalog.flag(key)?.type ?? type) !== type);
    this.#retyped = retyped
      .map(({ key }) => key)
      .filter((key) => !this.#leftOut.has(leftOutFlag(key)))
      .sort();
  }
}

function isEmpty(catalog: Catalog): boolean {
  if (catalog.flagKeys().length > 0) return false;
  if (catalog.environmentNames().some((name) => name !== DEFAULT_ENVIRONMENT)) return false;
  return catalog.segmentKeys(DEFAULT_ENVIRONMENT).length === 0;
}

/** An item that is left out, and what to tell about it. */
interface Blame {
  readonly item: Culprit;
  readonly refusal: Pick<Finding, "key" | "field" | "description">;
}

/** What of a file is to be left out because of some findings: what they are about, or else what they come from. */
function blame(wrong: readonly Finding[], culprits: Culprits, after: () => Catalog): Blame[] {
  const own: Blame[] = [];
  for (const finding of wrong) {
    const item = culprits.ownOf(finding);
    if (item !== undefined) own.push({ item, refusal: finding });
  }
  // The others may come from these, and may be gone with them.
  if (own.length > 0) return own;
  const catalog = after();
  return wrong.flatMap((finding) => {
    const { kind, key, environment, field, description } = finding;
    const broken = `would break ${kind} ${key} in ${environment}: ${field}: ${description}`;
    const toBlame = (item: Culprit) => ({ item, refusal: { key: item.key, field: item.kind, description: broken } });
    return culprits.causesOf(finding, catalog).map(toBlame);
  });
}

function fromRefused({ key, field, description }: RefusedItem): Finding {
  const kind = field.startsWith("segment") ? "segment" : "flag";
  return { kind, key, field, description, environment: "", touched: true };
}

function toRefused({ key, field, description }: Blame["refusal"]): RefusedItem {
  return create(RefusedItemSchema, { key, field, description });
}

function refuseImport(findings: readonly Finding[]): Refusal {
  const items = [...new Set(findings.map(({ kind, key }) => `${kind} ${key}`))];
  const list = items.slice(0, 5).join(", ") + (items.length > 5 ? ` and ${items.length - 5} more` : "");
  const violations = findings.slice(0, MAX_NAMED).map((finding) => ({
    field: `${finding.kind}s[${JSON.stringify(finding.key)}].${finding.field}`,
    description: describe(finding),
  }));
  const more = findings.length - violations.length;
  if (more > 0) violations.push({ field: "", description: `and ${more} more; a dry run with skip_invalid lists all` });
  const message = `${items.length === 1 ? "an item is" : `${items.length} items are`} refused: ${list}; nothing was changed`;
  return new Refusal("INVALID_ARGUMENT", "INVALID_FIELDS", message, { violations });
}

/** Says which environment's settings or segment is meant; a flag itself belongs to all. */
function describe({ environment, field, description }: Finding): string {
  return environment === "" || field.startsWith("flag") ? description : `${description} (in ${environment})`;
}

function tooLarge(): Refusal {
  const { flags, fileItems } = contractLimits;
  const limits = `${MAX_FILE_BYTES / 1_048_576} MiB, ${flags} flags and ${fileItems} items in all are the limits`;
  const message = `the file is too large: ${limits}; import it in several files`;
  return new Refusal("RESOURCE_EXHAUSTED", "FILE_TOO_LARGE", message);
}
