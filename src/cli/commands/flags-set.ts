import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { UpdateFlagResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { createFields, parseExpiry } from "./flags-create.js";
import { withSimilarKeys } from "./similar-keys.js";

interface SetOptions extends WriteOptions {
  readonly owner?: string;
  readonly ticket?: string;
  readonly description?: string;
  readonly expiresAt?: Timestamp | "never";
  readonly addTag?: readonly string[];
  readonly removeTag?: readonly string[];
}

export function addSetCommand(flags: Command, run: CommandRunner): void {
  const command = flags
    .command("set <key>")
    .description("change what is said of a flag; what is not named stays")
    .option("--owner <name>", "who cleans it up")
    .option("--ticket <text>", "where the clean-up is tracked")
    .option("--expires-at <time>", 'when it should be gone, in RFC 3339, or "never"', parseExpiryOrNever)
    .option("--description <text>", "what it does")
    .option("--add-tag <tag>", "one more label; repeatable", collect("--add-tag"))
    .option("--remove-tag <tag>", "a label that goes; repeatable", collect("--remove-tag"));
  addWriteOptions(command)
    .action(run(setFlag, { ...createFields, "flag.tags": "--add-tag" }))
    .addHelpText(
      "after",
      `
An empty text clears what stands there.

Examples:
  flagwire flags set new-checkout --expires-at 2027-06-30T00:00:00Z --ticket SHOP-12
  flagwire flags set new-checkout --add-tag payments --remove-tag shop`,
    );
}

function parseExpiryOrNever(text: string): Timestamp | "never" {
  return text === "never" ? text : parseExpiry(text);
}

function collect(what: string): (value: string, before?: readonly string[]) => readonly string[] {
  const parse = parseNonEmpty(what);
  return (value, before = []) => [...before, parse(value)];
}

async function setFlag(session: Session, key: string, options: SetOptions): Promise<void> {
  const paths = pathsOf(options);
  if (paths.length === 0) {
    throw usageFailure('nothing to change; name an option, see "flagwire flags set --help"');
  }
  const remote = session.remote();
  const response = await withSimilarKeys(session, key, async () => {
    const { flag: current, revision } = await remote.call((call) => remote.admin.getFlag({ key }, call));
    // Tags are replaced as a whole, so those that somebody else added meanwhile must not be lost.
    const expectedRevision = options.expectedRevision ?? revision;
    const write = toWriteFields(session, paths.includes("tags") ? { ...options, expectedRevision } : options);
    const request = { flag: toFlag(key, options, current?.tags ?? []), updateMask: { paths }, ...write };
    return remote.call((call) => remote.admin.updateFlag(request, call));
  });
  if (session.output.json) return session.output.document(toDocument(UpdateFlagResponseSchema, response));
  await session.output.line(`changed ${paths.join(", ")} of ${key} ${revisionNote(response.revision, options)}`);
}

function pathsOf(options: SetOptions): string[] {
  return [
    ...(options.owner === undefined ? [] : ["owner"]),
    ...(options.ticket === undefined ? [] : ["ticket"]),
    ...(options.expiresAt === undefined ? [] : ["expires_at"]),
    ...(options.description === undefined ? [] : ["description"]),
    ...(options.addTag === undefined && options.removeTag === undefined ? [] : ["tags"]),
  ];
}

function toFlag(key: string, options: SetOptions, currentTags: readonly string[]): Flag {
  const { owner = "", ticket = "", description = "", expiresAt, addTag = [], removeTag = [] } = options;
  const tags = [...new Set([...currentTags.filter((tag) => !removeTag.includes(tag)), ...addTag])];
  const flag = create(FlagSchema, { key, owner, ticket, description, tags });
  if (expiresAt !== undefined && expiresAt !== "never") flag.expiresAt = expiresAt;
  return flag;
}
