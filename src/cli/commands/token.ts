import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { Role, type Token } from "../../../gen/flagwire/v1/access_pb.js";
import { ListTokensResponseSchema, RevokeTokenResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { usageFailure } from "../failure.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";
import { addWriteOptions, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { parseExpiry } from "./flags-create.js";

interface CreateTokenOptions extends WriteOptions {
  readonly name: string;
  readonly role: keyof typeof roles;
  readonly environments?: readonly string[];
  readonly expiresAt?: Timestamp;
}

const roles = {
  evaluator: Role.EVALUATOR,
  reader: Role.READER,
  operator: Role.OPERATOR,
  editor: Role.EDITOR,
  admin: Role.ADMIN,
} as const;

const fields: FieldOptions = {
  "token.name": "--name",
  "token.role": "--role",
  "token.environments": "--environments",
  "token.expires_at": "--expires-at",
};

export function addTokenCommands(program: Command, run: CommandRunner): void {
  const token = program.command("token").description("who may do what: create, list and revoke tokens");
  const create = token
    .command("create")
    .description("create a token and show it, this once")
    .requiredOption("--name <name>", "who or what holds it; the author of what is changed with it")
    .addOption(new Option("--role <role>", "what it may do").choices(Object.keys(roles)).makeOptionMandatory())
    .option("--environments <names>", "where, separated by commas (default: everywhere)", parseNames)
    .option("--expires-at <time>", "when it ends, in RFC 3339 (default: never)", parseExpiry);
  addWriteOptions(create)
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

From the first token on every call needs one, so create an admin's first. To
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
  const remote = session.remote();
  const { name, role, environments = [], expiresAt } = options;
  const request = {
    token: { name, role: roles[role], environments: [...environments], ...(expiresAt && { expiresAt }) },
    ...toWriteFields(session, options),
  };
  const { token, bearer, revision } = await remote.call((call) => remote.admin.createToken(request, call));
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
