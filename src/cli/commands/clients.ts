import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  type ConnectedClient,
  type ListClientsResponse,
  ListClientsResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { CommandRunner } from "../command-runner.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { toTable } from "../text.js";

interface ClientsOptions {
  readonly all?: boolean;
}

export function addClientsCommand(program: Command, run: CommandRunner): void {
  program
    .command("clients")
    .description("who is connected: mirrors and others with a stream of changes open")
    .option("--all", "of all environments that the token is for, not of --env alone")
    .action(run(showClients))
    .addHelpText(
      "after",
      `
LAG is how many revisions a client has not been sent yet. Revisions of other
environments count, and are told with the next heartbeat, within seconds. What
a client has applied only it knows; it has received what it was sent before.

Examples:
  flagwire clients
  flagwire clients --all --json`,
    );
}

async function showClients(session: Session, { all = false }: ClientsOptions): Promise<void> {
  const remote = session.remote();
  const environment = all ? "" : session.options.environment;
  const response = await remote.call((options) => remote.admin.listClients({ environment }, options));
  if (session.output.json) return session.output.document(toDocument(ListClientsResponseSchema, response));
  const { clients, revision } = response;
  if (clients.length > 0) {
    const head = ["NAME", "VERSION", "ENVIRONMENT", "REVISION", "LAG", "CONNECTED SINCE", "TOKEN", "PEER"];
    await session.output.raw(
      toTable(
        head,
        clients.map((client) => toRow(client, revision)),
      ),
    );
  }
  session.output.note(describe(response, all ? "any environment" : environment));
}

function toRow(client: ConnectedClient, headRevision: bigint): string[] {
  const { clientName, clientVersion, environment, revision, connectedSince, tokenName, peer } = client;
  return [
    clientName || "(none)",
    clientVersion || "-",
    environment,
    String(revision),
    String(headRevision > revision ? headRevision - revision : 0n),
    connectedSince === undefined ? "" : timestampDate(connectedSince).toISOString(),
    tokenName || "-",
    peer,
  ];
}

function describe({ clients, totalCount, revision }: ListClientsResponse, environment: string): string {
  if (totalCount === 0) return `no mirror has a stream of ${environment} open; the head is at revision ${revision}`;
  const shown = clients.length < totalCount ? `the first ${clients.length} of ${totalCount}` : `${totalCount}`;
  return `${shown} connected; the head is at revision ${revision}`;
}
