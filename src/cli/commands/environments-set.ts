import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { UpdateEnvironmentResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Environment, EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";

interface SetOptions extends WriteOptions {
  readonly description?: string;
  readonly privateAttributes?: readonly string[];
  readonly keepContexts?: "on" | "off";
}

const setFields: FieldOptions = {
  "environment.name": "NAME",
  "environment.description": "--description",
  "environment.private_attributes": "--private-attributes",
};

export function addEnvironmentsSetCommand(environments: Command, run: CommandRunner): void {
  const command = environments
    .command("set <name>")
    .description("change what is said of an environment; what is not named stays")
    .option("--description <text>", "what it is for")
    .option(
      "--private-attributes <names>",
      "all attributes whose values nobody is told here, with commas between them",
      parseNames,
    )
    .addOption(
      new Option("--keep-contexts <on|off>", "keep some contexts, to try changes on them").choices(["on", "off"]),
    );
  addWriteOptions(command)
    .action(run(setEnvironment, setFields))
    .addHelpText(
      "after",
      `
An empty text clears what stands there.

Examples:
  flagwire environments set production --private-attributes email,user.ip
  flagwire environments set staging --keep-contexts on`,
    );
}

function parseNames(text: string): readonly string[] {
  if (text === "") return [];
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) {
    throw usageFailure(`--private-attributes ${JSON.stringify(text)} has an empty name; write such as email,user.ip`);
  }
  return names;
}

async function setEnvironment(session: Session, name: string, options: SetOptions): Promise<void> {
  const paths = pathsOf(options);
  if (paths.length === 0) {
    throw usageFailure('nothing to change; name an option, see "flagwire environments set --help"');
  }
  const remote = session.remote();
  const { environment: current, revision } = await remote.call((call) => remote.admin.getEnvironment({ name }, call));
  // Names are replaced as a whole, so what somebody else made private meanwhile must not become public.
  const expectedRevision = options.expectedRevision ?? revision;
  const isOfNames = options.privateAttributes !== undefined;
  const request = {
    environment: toEnvironment(name, options),
    updateMask: { paths },
    ...toWriteFields(session, isOfNames ? { ...options, expectedRevision } : options),
  };
  const response = await remote.call((call) => remote.admin.updateEnvironment(request, call));
  notePublic(session, name, current?.privateAttributes ?? [], options);
  if (session.output.json) return session.output.document(toDocument(UpdateEnvironmentResponseSchema, response));
  await session.output.line(
    `changed ${paths.join(", ")} of the environment ${name} ${revisionNote(response.revision, options)}`,
  );
}

function pathsOf({ description, privateAttributes, keepContexts }: SetOptions): string[] {
  return [
    ...(description === undefined ? [] : ["description"]),
    ...(privateAttributes === undefined ? [] : ["private_attributes"]),
    ...(keepContexts === undefined ? [] : ["keep_contexts"]),
  ];
}

function toEnvironment(name: string, options: SetOptions): Environment {
  const { description = "", privateAttributes = [], keepContexts } = options;
  return create(EnvironmentSchema, {
    name,
    description,
    privateAttributes: [...privateAttributes],
    keepContexts: keepContexts === "on",
  });
}

/** Says which attributes anybody may be told from now on: that is easily overlooked in a list. */
function notePublic(
  session: Session,
  name: string,
  before: readonly string[],
  { privateAttributes, dryRun }: SetOptions,
): void {
  const now = new Set(privateAttributes);
  const lost = privateAttributes === undefined ? [] : before.filter((attribute) => !now.has(attribute));
  if (lost.length > 0) {
    session.output.note(`${dryRun ? "would be" : "are"} no longer private in ${name}: ${lost.join(", ")}`);
  }
}
