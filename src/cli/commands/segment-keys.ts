import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { ChangeSegmentKeysResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";

interface KeysOptions extends WriteOptions {
  readonly included?: string;
  readonly excluded?: string;
}

const verbs = ["add", "remove"] as const;

/** `segments add KEY` and `segments remove KEY`: some keys of a segment, without all the others. */
export function addSegmentKeysCommands(segments: Command, run: CommandRunner): void {
  for (const verb of verbs) {
    const command = segments
      .command(`${verb} <key>`)
      .description(`${verb} targeting keys; the others of the segment stay`)
      .option("--included <keys>", "of those who belong to it: a,b,c, or @FILE with one in each line")
      .option("--excluded <keys>", "of those who do not")
      .addHelpText(
        "after",
        `\nExample:\n  flagwire segments ${verb} beta --included user-1,user-2 --excluded @left.txt`,
      );
    addWriteOptions(command).action(
      run((session, key: string, options: KeysOptions) => changeKeys(session, verb, key, options)),
    );
  }
}

async function changeKeys(session: Session, verb: (typeof verbs)[number], key: string, options: KeysOptions) {
  if (options.included === undefined && options.excluded === undefined) {
    throw usageFailure("which keys? Give --included, --excluded or both");
  }
  const included = await readKeys(options.included);
  const excluded = await readKeys(options.excluded);
  const { environment } = session.options;
  const keys =
    verb === "add"
      ? { addIncluded: included, addExcluded: excluded }
      : { removeIncluded: included, removeExcluded: excluded };
  refuseTooMany([...included, ...excluded]);
  const request = { environment, key, ...keys, ...toWriteFields(session, options) };
  const remote = session.remote();
  const response = await remote.call((call) => remote.admin.changeSegmentKeys(request, call));
  if (session.output.json) return session.output.document(toDocument(ChangeSegmentKeysResponseSchema, response));
  const { includedCount = 0, excludedCount = 0 } = response.segment ?? {};
  await session.output.line(
    `segment ${key} of ${environment}: ${includedCount} included, ${excludedCount} excluded ${revisionNote(response.revision, options)}`,
  );
}

/** A key with a comma or with blanks around it can only come in a file. */
async function readKeys(text: string | undefined): Promise<string[]> {
  if (text === undefined) return [];
  const keys = text.startsWith("@")
    ? (await readLines(text.slice(1))).map((line) => line.replace(/\r$/, ""))
    : text.split(",").map((key) => key.trim());
  return keys.filter((key) => key !== "");
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, "utf8")).split("\n");
  } catch (error) {
    throw usageFailure(`the file cannot be read: ${(error as Error).message}`);
  }
}

/** A request has at most 4 MiB. */
const maximumKeyBytes = 3 * 1_048_576;

function refuseTooMany(keys: readonly string[]): void {
  let sizeBytes = 0;
  for (const key of keys) sizeBytes += Buffer.byteLength(key) + 4;
  if (sizeBytes <= maximumKeyBytes) return;
  throw usageFailure(
    `${keys.length} keys are more than one request can hold; do it in several, or import the segment by a file`,
  );
}
