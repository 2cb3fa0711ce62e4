import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AdminService, ListClientsResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import type { ListConnectedClients } from "./client-directory.js";

const MAX_CLIENTS = 1_000;

export function listClientsHandler(
  head: Head,
  list: ListConnectedClients,
): ServiceHandlers<typeof AdminService>["listClients"] {
  return async ({ environment }, call) => {
    const environments = environment === "" ? environmentsOf(call) : oneEnvironment(environment, call, head);
    if (isRefusal(environments)) return environments;
    const { clients, totalCount } = await list({ environments, limit: MAX_CLIENTS });
    return create(ListClientsResponseSchema, {
      clients: clients.map(({ connectedSinceMs, ...client }) => ({
        ...client,
        connectedSince: timestampFromMs(connectedSinceMs),
      })),
      totalCount,
      revision: head.revision,
    });
  };
}

/** Those that the caller may see; none: all. */
function environmentsOf({ identity }: Pick<Call, "identity">): readonly string[] {
  return identity?.environments ?? [];
}

function oneEnvironment(name: string, call: Call, head: Head): OrRefusal<readonly string[]> {
  const environment = resolveEnvironment(name, call);
  if (isRefusal(environment)) return environment;
  return head.snapshot(environment) === undefined ? environmentNotFound(environment) : [environment];
}
