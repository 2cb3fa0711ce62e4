import { type Command, Option } from "commander";
import {
  DeleteFlagResponseSchema,
  GetFlagResponseSchema,
  ListFlagsResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { addRestoreCommand, listDeletedFlags } from "./deleted-flags.js";
import { fetchFlags } from "./fetch-flags.js";
import { describeFlag, kindName, servesOf, stateOf, typeName } from "./flag-summary.js";
import { createFields, createFlag, parseExpiry } from "./flags-create.js";
import { addSetCommand } from "./flags-set.js";
import { withSimilarKeys } from "./similar-keys.js";

export function addFlagsCommands(program: Command, run: CommandRunner): void {
  const flags = program.command("flags").description("list, get, create, change, delete and restore flags");
  flags
    .command("list")
    .description("all flags, with their settings in the environment")
    .option("--tag <tag>", "only flags with this tag", parseNonEmpty("--tag"))
    .option("--deleted", "the keys of deleted flags instead")
    .action(run(listFlags));
  flags.command("get <key>").description("one flag, with its settings everywhere").action(run(getFlag));
  addCreateCommand(flags, run);
  addSetCommand(flags, run);
  addWriteOptions(flags.command("delete <key>").description("delete a flag; its key stays reserved")).action(
    run(deleteFlag),
  );
  addRestoreCommand(flags, run);
}

function addCreateCommand(flags: Command, run: CommandRunner): void {
  const command = flags
    .command("create <key>")
    .description("create a flag, in every environment")
    .addOption(new Option("--type <type>").choices(["boolean", "string", "number", "object"]))
    .addOption(new Option("--kind <kind>").choices(["release", "experiment", "operational", "permission"]))
    .option("--owner <name>", "who cleans it up; release and experiment flags need one")
    .option("--ticket <text>", "where the clean-up is tracked")
    .option(
      "--expires-at <time>",
      "when it should be gone, in RFC 3339; release and experiment flags need it",
      parseExpiry,
    )
    .option("--description <text>", "what it does")
    .option("--tag <tag>", "a label; repeatable", collect)
    .option("--variant <name=value>", "a variant; repeatable (boolean: on=true and off=false)", collect)
    .option("--default <variant>", "what it serves (boolean: the variant that is true; others: the first)")
    .option("--off <variant>", "what it answers while off (boolean: the variant that is false)")
    .option("--on", "enable it at once, in every environment")
    .option("--force", "take the key of a deleted flag all the same");
  addWriteOptions(command).action(run(createFlag, createFields));
  command.addHelpText(
    "after",
    `
Examples:
  flagwire flags create new-checkout --type boolean --kind release \\
    --owner team-shop --expires-at 2027-03-31T00:00:00Z
  flagwire flags create colour --type string --kind operational \\
    --variant red=#f00 --variant blue=#00f --default blue --on`,
  );
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

interface ListOptions {
  readonly tag?: string;
  readonly deleted?: true;
}

async function listFlags(session: Session, options: ListOptions): Promise<void> {
  if (options.deleted) {
    if (options.tag !== undefined) throw usageFailure("--tag does not go together with --deleted");
    return listDeletedFlags(session);
  }
  const all = await fetchFlags(session, options.tag);
  if (session.output.json) {
    const { nextPageToken: _, ...document } = toDocument(ListFlagsResponseSchema, all);
    return session.output.document(document);
  }
  const rows = all.flags.map((flag, index) => {
    const targeting = all.targetings[index];
    return [flag.key, typeName(flag.type), kindName(flag.kind), stateOf(targeting), servesOf(targeting), flag.owner];
  });
  if (rows.length === 0) {
    session.output.note(
      options.tag !== undefined
        ? `no flag has the tag ${options.tag}`
        : 'there are no flags; create one with "flagwire flags create" or import a file with "flagwire import"',
    );
    return;
  }
  await session.output.raw(toTable(["KEY", "TYPE", "KIND", "STATE", "SERVES", "OWNER"], rows));
}

async function getFlag(session: Session, key: string): Promise<void> {
  const remote = session.remote();
  const response = await withSimilarKeys(session, key, () =>
    remote.call((options) => remote.admin.getFlag({ key }, options)),
  );
  if (session.output.json) return session.output.document(toDocument(GetFlagResponseSchema, response));
  if (response.flag !== undefined) await session.output.raw(describeFlag(response.flag, response.targetings));
}

async function deleteFlag(session: Session, key: string, options: WriteOptions): Promise<void> {
  const remote = session.remote();
  const request = { key, ...toWriteFields(session, options) };
  const response = await withSimilarKeys(session, key, () =>
    remote.call((call) => remote.admin.deleteFlag(request, call)),
  );
  if (session.output.json) return session.output.document(toDocument(DeleteFlagResponseSchema, response));
  await session.output.line(`deleted ${key}; its key stays reserved ${revisionNote(response.revision, options)}`);
}
