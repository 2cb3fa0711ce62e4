import type { Command } from "commander";
import {
  CreateEnvironmentResponseSchema,
  DeleteEnvironmentResponseSchema,
  type GetEnvironmentResponse,
  GetEnvironmentResponseSchema,
  ListEnvironmentsResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { addEnvironmentsSetCommand } from "./environments-set.js";

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
  const environments = program
    .command("environments")
    .description("list, describe, create, change and delete environments");
  environments.command("list").description("all environments").action(run(listEnvironments));
  environments
    .command("describe <name>")
    .description("one environment, with what it holds")
    .action(run(describeEnvironment, { name: "NAME" }));
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
  addEnvironmentsSetCommand(environments, run);
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
  const rows = response.environments.map((one) => [
    one.name,
    one.createdBy,
    one.keepContexts ? "kept" : "",
    one.description,
  ]);
  await session.output.raw(toTable(["NAME", "CREATED BY", "CONTEXTS", "DESCRIPTION"], rows));
}

async function describeEnvironment(session: Session, name: string): Promise<void> {
  const remote = session.remote();
  const response = await remote.call((options) => remote.admin.getEnvironment({ name }, options));
  if (session.output.json) return session.output.document(toDocument(GetEnvironmentResponseSchema, response));
  await session.output.raw(describe(response));
  // The server does not say which it is.
  if (session.options.token !== undefined && response.flagCount === 0 && response.segmentCount === 0) {
    session.output.note("a token for other environments only is not told the numbers: they are 0 to it");
  }
}

/** A line a fact. */
function describe({ environment, keptContexts, segmentCount, ...counts }: GetEnvironmentResponse): string {
  const { name = "", description = "", createdBy = "", privateAttributes = [], keepContexts } = environment ?? {};
  const facts = [
    ["name", name],
    ["description", description],
    ["created by", createdBy],
    ["private attributes", privateAttributes.join(", ")],
    ["contexts", keepContexts ? `${keptContexts} kept` : "not kept"],
    ["flags", `${counts.flagCount}, ${counts.enabledFlags} enabled, ${counts.killedFlags} killed`],
    ["segments", String(segmentCount)],
  ] as const;
  const width = Math.max(...facts.map(([fact]) => fact.length));
  return facts
    .filter(([, text]) => text !== "")
    .map(([fact, text]) => `${fact.padEnd(width)}  ${printable(text)}\n`)
    .join("");
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
