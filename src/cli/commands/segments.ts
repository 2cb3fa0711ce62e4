import { create, toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { stringify } from "yaml";
import {
  DeleteSegmentResponseSchema,
  GetSegmentResponseSchema,
  type ListSegmentsResponse,
  ListSegmentsResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { addSegmentKeysCommands } from "./segment-keys.js";

/** More are counted for people; a document has what the server gives. */
const maximumKeysShown = 100;

export function addSegmentsCommands(program: Command, run: CommandRunner): void {
  const segments = program
    .command("segments")
    .description("list, show and delete segments, add and remove keys; files create and change them (see apply)");
  segments.command("list").description("all segments of the environment").action(run(listSegments));
  segments.command("get <key>").description("one segment").action(run(getSegment));
  addSegmentKeysCommands(segments, run);
  addWriteOptions(segments.command("delete <key>").description("delete a segment that nothing uses")).action(
    run(deleteSegment),
  );
}

async function listSegments(session: Session): Promise<void> {
  const all = await fetchSegments(session);
  if (session.output.json) {
    const { nextPageToken: _, ...document } = toDocument(ListSegmentsResponseSchema, all);
    return session.output.document(document);
  }
  if (all.segments.length === 0) {
    session.output.note(
      `there are no segments in ${session.options.environment}; a file can bring some: flagwire apply -f FILE`,
    );
    return;
  }
  const rows = all.segments.map((one) => [
    one.key,
    String(one.includedCount),
    String(one.excludedCount),
    one.condition === undefined ? "no" : "yes",
    one.description,
  ]);
  await session.output.raw(toTable(["KEY", "INCLUDED", "EXCLUDED", "CONDITION", "DESCRIPTION"], rows));
}

async function fetchSegments(session: Session): Promise<ListSegmentsResponse> {
  const remote = session.remote();
  const all = create(ListSegmentsResponseSchema);
  let pageToken = "";
  do {
    const request = { environment: session.options.environment, pageSize: 1000, pageToken };
    const page = await remote.call((options) => remote.admin.listSegments(request, options));
    for (const segment of page.segments) all.segments.push(segment);
    all.revision = page.revision;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

async function getSegment(session: Session, key: string): Promise<void> {
  const remote = session.remote();
  const request = { environment: session.options.environment, key };
  const response = await remote.call((options) => remote.admin.getSegment(request, options));
  const { segment } = response;
  const isLong = segment !== undefined && segment.includedCount + segment.excludedCount > maximumKeysShown;
  if (segment?.keysOmitted || (isLong && !session.output.json)) {
    session.output.note(`its keys are too many to be shown; flagwire export --env ${segment.environment} gives them`);
  }
  if (session.output.json) return session.output.document(toDocument(GetSegmentResponseSchema, response));
  if (segment === undefined) return;
  if (isLong) Object.assign(segment, { included: [], excluded: [], keysOmitted: true });
  // A condition is a tree, and YAML is how people write it.
  await session.output.raw(stringify(toJson(SegmentSchema, segment)));
}

async function deleteSegment(session: Session, key: string, options: WriteOptions): Promise<void> {
  const remote = session.remote();
  const { environment } = session.options;
  const request = { environment, key, ...toWriteFields(session, options) };
  const response = await remote.call((call) => remote.admin.deleteSegment(request, call));
  if (session.output.json) return session.output.document(toDocument(DeleteSegmentResponseSchema, response));
  await session.output.line(`deleted the segment ${key} of ${environment} ${revisionNote(response.revision, options)}`);
}
