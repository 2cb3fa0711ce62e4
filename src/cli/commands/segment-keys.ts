import type { Command } from "commander";
import { ChangeSegmentKeysResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { readSegmentKeys, type SegmentKeyLists, type SegmentKeyOptions } from "../read-segment-keys.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { addWriteOptions, revisionNote, type WriteOptions } from "../write-options.js";
import { cutSegmentKeys } from "./cut-segment-keys.js";
import { type KeyVerb, type SentKeys, sendSegmentKeys } from "./send-segment-keys.js";

interface KeysOptions extends WriteOptions, SegmentKeyOptions {}

/** `segments add KEY` and `segments remove KEY`: some keys of a segment, without all the others. */
export function addSegmentKeysCommands(segments: Command, run: CommandRunner): void {
  for (const verb of ["add", "remove"] as const) {
    const command = segments
      .command(`${verb} <key>`)
      .description(`${verb} targeting keys; the others of the segment stay`)
      .option(
        "--included <keys>",
        'of those who belong to it: a,b,c, or @FILE with one in each line; "@-" is standard input',
      )
      .option("--excluded <keys>", "of those who do not")
      .addHelpText(
        "after",
        `
Blanks around a key do not count, in a list or in a file, nor do empty lines of a
file. A key with a comma can only come in a file; one with blanks around it only
by a file of flags (see apply). More keys than fit one request go in several, each
with a revision of its own.

Examples:
  flagwire segments ${verb} beta --included user-1,user-2
  flagwire segments ${verb} beta --included @users.txt --excluded user-3`,
      );
    addWriteOptions(command).action(
      run((session, key: string, options: KeysOptions) => changeKeys(session, verb, key, options)),
    );
  }
}

async function changeKeys(session: Session, verb: KeyVerb, key: string, options: KeysOptions): Promise<void> {
  const keys = await readSegmentKeys(options, session.io.stdin);
  const parts = [...cutSegmentKeys(keys)];
  if (parts.length > 1) {
    const count = keys.included.length + keys.excluded.length;
    const go = options.dryRun ? "would go" : "go";
    session.output.note(`${count} keys ${go} in ${parts.length} requests, each with a revision of its own`);
  }
  const sent = await sendSegmentKeys(session, verb, key, parts, options);
  if (session.output.json) return session.output.document(toDocument(ChangeSegmentKeysResponseSchema, sent.response));
  const { includedCount = 0, excludedCount = 0 } = sent.response.segment ?? {};
  await session.output.line(
    `segment ${key} of ${session.options.environment}: ${describeChange(verb, keys, sent)}${includedCount} included, ${excludedCount} excluded ${describeRevisions(sent, options)}`,
  );
}

/** What was done, up to what the segment has now; nothing where an earlier attempt did it. */
function describeChange(verb: KeyVerb, keys: SegmentKeyLists, { response: { changed } }: SentKeys): string {
  if (changed === undefined) return "";
  const included = changed.addedIncluded + changed.removedIncluded;
  const excluded = changed.addedExcluded + changed.removedExcluded;
  const lists = [
    ...(keys.included.length > 0 ? [describeList(verb, "included", keys.included.length, included)] : []),
    ...(keys.excluded.length > 0 ? [describeList(verb, "excluded", keys.excluded.length, excluded)] : []),
  ].join(", ");
  return included + excluded === 0 ? `unchanged (${lists}); ` : `${lists}; now `;
}

/** Such as `2 keys added to included (1 there already)`. */
function describeList(verb: KeyVerb, list: string, asked: number, done: number): string {
  const adds = verb === "add";
  if (done === 0) {
    if (adds) return `${list} has ${asked === 1 ? "the key" : `all ${asked} keys`} already`;
    return asked === 1 ? `${list} does not have the key` : `${list} has none of the ${asked} keys`;
  }
  // A list that holds a key twice loses both.
  const rest = Math.max(0, asked - done);
  const without = rest === 0 ? "" : ` (${rest} ${adds ? "there already" : "not there"})`;
  return `${counted(done, "key")} ${adds ? "added to" : "removed from"} ${list}${without}`;
}

function describeRevisions({ response, revisions }: SentKeys, options: WriteOptions): string {
  if (options.dryRun || revisions.length < 2) return revisionNote(response.revision, options);
  return `(revisions ${revisions.join(", ")})`;
}
