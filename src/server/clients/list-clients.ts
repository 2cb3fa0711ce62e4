import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { Refusal } from "../refusal.js";
import type { Head } from "../state/head.js";

export function listClientsHandler(_head: Head): ServiceHandlers<typeof AdminService>["listClients"] {
  return () => new Refusal("UNIMPLEMENTED", "UNIMPLEMENTED", "not in this version");
}
