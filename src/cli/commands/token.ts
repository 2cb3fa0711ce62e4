import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { Role, type Token, TokenSchema } from "../../../gen/flagwire/v1/access_pb.js";
import {
  type CreateTokenResponse,
  ListTokensResponseSchema,
  RevokeTokenResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode, usageFailure } from "../failure.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import { roles } from "../roles.js";
import type { Session } from "../session.js";
import { toStoreFailure } from "../store-failure.js";
import { toTable } from "../text.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { parseExpiry } from "./flags-create.js";

interface CreateTokenOptions extends WriteOptions {
  readonly name: string;
  readonly role: string;
  readonly environments?: readonly string[];
  readonly expiresAt?: Timestamp;
  readonly data?: string;
}

const fields: FieldOptions = {
  "token.name": "--name",
  "token.role": "--role",
  "token.environments": "--environments",
  "token.expires_at": "--expires-at",
};

export function addTokenCommands(program: Command, run: CommandRunner): void {
  const token = program.command("token").description("who may do what: create, list and revoke tokens");
  const creating = token
    .command("create")
    .description("create a token and show it, this once")
    .requiredOption("--name <name>", "who or what holds it; the author of what is changed with it")
    .addOption(new Option("--role <role>", "what it may do").choices([...roles.keys()]).makeOptionMandatory())
    .option("--environments <names>", "where, separated by commas (default: everywhere)", parseNames)
    .option("--expires-at <time>", "when it ends, in RFC 3339 (default: never)", parseExpiry);
  creating.option("--data <dir>", "create it in this data directory, which no server may be using: without any token");
  addWriteOptions(creating)
    .action(run(createToken, fields))
    .addHelpText(
      "after",
      `
Roles, each of which may also do what those before it may:
  evaluator  ask for answers; never sees rules. For browsers
  reader     hold the rules and read everything but tokens. For mirrors
  operator   kill and revive flags, switch them on and off
  editor     change flags, settings and segments
  admin      everything, tokens and environments too

From the first token on every call needs one, so create an admin's first. Where
all admins' tokens are lost, stop the server and create one with --data. To
replace a token, create another one of the same name, and revoke the old one
when nobody uses it any more.`,
    );
  token.command("list").description("all tokens, without their secrets").action(run(listTokens));
  addWriteOptions(token.command("revoke <id>").description("end a token at once, its open streams too")).action(
    run(revokeToken, { id: "ID" }),
  );
}

function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name === "")) {
    throw usageFailure(
      `--environments ${JSON.stringify(text)} names nothing somewhere; give names such as production,staging`,
    );
  }
  return names;
}

async function createToken(session: Session, options: CreateTokenOptions): Promise<void> {
  const { name, role, environments = [], expiresAt, data } = options;
  const wanted = create(TokenSchema, {
    name,
    role: roles.get(role) ?? Role.UNSPECIFIED,
    environments: [...environments],
    ...(expiresAt && { expiresAt }),
  });
  const { token, bearer, revision } =
    data === undefined
      ? await createOnServer(session, wanted, options)
      : await createOffline(session, wanted, options, data);
  if (session.output.json) {
    return session.output.document({
      id: token?.id ?? "",
      ...(bearer !== "" && { token: bearer }),
      name,
      role,
      environments: [...environments],
      ...(expiresAt && { expiresAt: timestampDate(expiresAt).toISOString() }),
      revision: String(revision),
    });
  }
  if (bearer === "") return session.output.line(`would create a token ${name} ${revisionNote(revision, options)}`);
  session.output.note(
    `created the token ${token?.id} for ${name}, with the role ${role} ${revisionNote(revision, options)}`,
  );
  if (data === undefined && role !== "admin" && session.options.token === undefined) {
    session.output.note(
      'warning: from now on every call needs a token, and this one cannot make others; to make an admin\'s, stop the server and use "flagwire token create --data"',
    );
  }
  session.output.note("this is the only time that it is shown:");
  await session.output.line(bearer);
}

async function listTokens(session: Session): Promise<void> {
  const remote = session.remote();
  const response = await remote.call((options) => remote.admin.listTokens({}, options));
  if (session.output.json) return session.output.document(toDocument(ListTokensResponseSchema, response));
  const head = ["ID", "NAME", "ROLE", "ENVIRONMENTS", "EXPIRES", "CREATED", "CREATED BY"];
  const rows = response.tokens.map((token) => toRow(token, session.io.clock.now()));
  await session.output.raw(toTable(head, rows));
}

async function createOnServer(session: Session, token: Token, options: WriteOptions): Promise<CreateTokenResponse> {
  const remote = session.remote();
  const request = { token, ...toWriteFields(session, options) };
  return remote.call((call) => remote.admin.createToken(request, call));
}

async function createOffline(
  session: Session,
  token: Token,
  { comment = "", dryRun = false }: WriteOptions,
  path: string,
): Promise<CreateTokenResponse> {
  const { clock, userName } = session.io;
  // Load the server and the store's engine, which no command needs that asks a server.
  const { createTokenIn } = await import("../../server/index.js");
  const { isStoreProblem, openLmdbStore } = await import("../../store/index.js");
  const store = await openLmdbStore({ path, clock });
  if (isStoreProblem(store)) throw toStoreFailure(store);
  try {
    const answer = await createTokenIn(store, clock, token, { name: userName, comment, dryRun });
    if ("code" in answer) throw new CliFailure(ExitCode.refused, answer.message);
    return answer;
  } finally {
    await store.close();
  }
}

function toRow({ id, name, role, environments, expiresAt, createdAt, createdBy }: Token, nowMs: number): string[] {
  const expiresMs = expiresAt && timestampDate(expiresAt).getTime();
  const expiry = expiresMs === undefined ? "never" : expiresMs <= nowMs ? "expired" : toDay(expiresAt);
  const where = environments.length === 0 ? "all" : environments.join(",");
  return [id, name, Role[role]?.toLowerCase() ?? String(role), where, expiry, toDay(createdAt), createdBy];
}

function toDay(time: Timestamp | undefined): string {
  return time === undefined ? "" : timestampDate(time).toISOString().slice(0, 16).replace("T", " ");
}

async function revokeToken(session: Session, id: string, options: WriteOptions): Promise<void> {
  const remote = session.remote();
  const request = { id, ...toWriteFields(session, options) };
  const response = await remote.call((call) => remote.admin.revokeToken(request, call));
  if (session.output.json) return session.output.document(toDocument(RevokeTokenResponseSchema, response));
  await session.output.line(`revoked the token ${id} ${revisionNote(response.revision, options)}`);
}
