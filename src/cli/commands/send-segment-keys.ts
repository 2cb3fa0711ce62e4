import { create } from "@bufbuild/protobuf";
import {
  type ChangeSegmentKeysResponse,
  type SegmentKeyCounts,
  SegmentKeyCountsSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { invariant } from "../../base/index.js";
import type { SegmentKeyLists } from "../read-segment-keys.js";
import type { Session } from "../session.js";
import { toWriteFields, type WriteOptions } from "../write-options.js";

export type KeyVerb = "add" | "remove";

/** What came of all requests together. */
export interface SentKeys {
  /** The last answer, with what all of them changed. */
  readonly response: ChangeSegmentKeysResponse;
  /** The revisions that were made, or found where a request changed nothing, each once. */
  readonly revisions: readonly bigint[];
}

/** A segment of a million keys takes seconds to write. That the server can be reached is made sure of before. */
const requestBudgetMs = 60_000;

/** Adds or removes keys, a request after the other. Rejects with `ConnectError`, having said how far it came. */
export async function sendSegmentKeys(
  session: Session,
  verb: KeyVerb,
  key: string,
  parts: readonly SegmentKeyLists[],
  options: WriteOptions,
): Promise<SentKeys> {
  await session.remote().reach();
  const answers: ChangeSegmentKeysResponse[] = [];
  for (const part of parts) {
    try {
      answers.push(await sendPart(session, verb, key, part, following(options, answers.at(-1))));
    } catch (error) {
      noteDone(session, answers, parts.length, options);
      throw error;
    }
  }
  return addUp(answers, options.dryRun ?? false);
}

function sendPart(session: Session, verb: KeyVerb, key: string, part: SegmentKeyLists, options: WriteOptions) {
  const { environment } = session.options;
  const [included, excluded] = [[...part.included], [...part.excluded]];
  const keys =
    verb === "add"
      ? { addIncluded: included, addExcluded: excluded }
      : { removeIncluded: included, removeExcluded: excluded };
  const request = { environment, key, ...keys, ...toWriteFields(session, options) };
  const remote = session.remote();
  return remote.call((call) => remote.admin.changeSegmentKeys(request, call), requestBudgetMs);
}

/** A segment that was as expected is expected to be as the request before left it. */
function following(options: WriteOptions, before: ChangeSegmentKeysResponse | undefined): WriteOptions {
  if (options.expectedRevision === undefined || options.dryRun || before === undefined) return options;
  return { ...options, expectedRevision: before.revision };
}

function noteDone(
  session: Session,
  answers: readonly ChangeSegmentKeysResponse[],
  total: number,
  options: WriteOptions,
): void {
  const last = answers.at(-1);
  if (last === undefined || options.dryRun) return;
  const again = options.expectedRevision === undefined ? "; the same command again does the rest" : "";
  session.output.note(
    `${answers.length} of ${total} requests were done, the last at revision ${last.revision}${again}`,
  );
}

function addUp(answers: readonly ChangeSegmentKeysResponse[], dryRun: boolean): SentKeys {
  const response = answers.at(-1);
  invariant(response !== undefined, "there is at least one request");
  const changed = sumOf(answers);
  // Each request of a dry run was tried on the segment as it is, so the last one shows its own keys only.
  if (dryRun && answers.length > 1 && response.segment !== undefined) {
    const before = sumOf(answers.slice(0, -1));
    response.segment.includedCount += (before?.addedIncluded ?? 0) - (before?.removedIncluded ?? 0);
    response.segment.excludedCount += (before?.addedExcluded ?? 0) - (before?.removedExcluded ?? 0);
    Object.assign(response.segment, { included: [], excluded: [], keysOmitted: true });
  }
  if (changed === undefined) delete response.changed;
  else response.changed = changed;
  return { response, revisions: [...new Set(answers.map(({ revision }) => revision))] };
}

/** Undefined where one of them does not tell, because it was repeated. */
function sumOf(answers: readonly ChangeSegmentKeysResponse[]): SegmentKeyCounts | undefined {
  const sum = create(SegmentKeyCountsSchema);
  for (const { changed } of answers) {
    if (changed === undefined) return undefined;
    sum.addedIncluded += changed.addedIncluded;
    sum.removedIncluded += changed.removedIncluded;
    sum.addedExcluded += changed.addedExcluded;
    sum.removedExcluded += changed.removedExcluded;
  }
  return sum;
}
