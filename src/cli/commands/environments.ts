import type { Command } from "commander";
import {
  CreateEnvironmentResponseSchema,
  DeleteEnvironmentResponseSchema,
  ListEnvironmentsResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";

interface CreateEnvironmentOptions extends WriteOptions {
  readonly description?: string;
  readonly copyFrom?: string;
}

const createFields: FieldOptions = {
  "environment.name": "NAME",
  "environment.description": "--description",
  copy_from: "--copy-from",
};

export function addEnvironmentsCommands(program: Command, run: CommandRunner): void {
  const environments = program.command("environments").description("list, create and delete environments");
  environments.command("list").description("all environments").action(run(listEnvironments));
  const create = environments
    .command("create <name>")
    .description("create an environment")
    .option("--description <text>", "what it is for")
    .option(
      "--copy-from <name>",
      "take over the settings and segments of this environment (default: every flag is off)",
      parseNonEmpty("--copy-from"),
    );
  addWriteOptions(create).action(run(createEnvironment, createFields));
  addWriteOptions(
    environments.command("delete <name>").description("delete an environment with its settings and segments"),
  ).action(run(deleteEnvironment, { name: "NAME" }));
}

async function listEnvironments(session: Session): Promise<void> {
  const remote = session.remote();
  const response = await remote.call((options) => remote.admin.listEnvironments({}, options));
  if (session.output.json) {
    return session.output.document(toDocument(ListEnvironmentsResponseSchema, response));
  }
  const rows = response.environments.map((one) => [one.name, one.createdBy, one.description]);
  await session.output.raw(toTable(["NAME", "CREATED BY", "DESCRIPTION"], rows));
}

async function createEnvironment(session: Session, name: string, options: CreateEnvironmentOptions): Promise<void> {
  const remote = session.remote();
  const request = {
    environment: { name, description: options.description ?? "" },
    copyFrom: options.copyFrom ?? "",
    ...toWriteFields(session, options),
  };
  const response = await remote.call((call) => remote.admin.createEnvironment(request, call));
  if (session.output.json) {
    return session.output.document(toDocument(CreateEnvironmentResponseSchema, response));
  }
  await session.output.line(`created the environment ${name} ${revisionNote(response.revision, options)}`);
}

async function deleteEnvironment(session: Session, name: string, options: WriteOptions): Promise<void> {
  const remote = session.remote();
  const request = { name, ...toWriteFields(session, options) };
  const response = await remote.call((call) => remote.admin.deleteEnvironment(request, call));
  if (session.output.json) {
    return session.output.document(toDocument(DeleteEnvironmentResponseSchema, response));
  }
  const done = options.dryRun ? "would delete" : "deleted";
  await session.output.line(`${done} the environment ${name} ${revisionNote(response.revision, options)}`);
}
