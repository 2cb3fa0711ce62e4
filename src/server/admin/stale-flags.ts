import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { Refusal } from "../refusal.js";
import type { UsageLedger } from "../usage/usage-ledger.js";
import type { Admin } from "./admin.js";

type Handlers = ServiceHandlers<typeof AdminService>;

export function staleFlagsHandler(_admin: Admin, _usage: UsageLedger): Handlers["listStaleFlags"] {
  return () => new Refusal("UNIMPLEMENTED", "UNIMPLEMENTED", "not in this version");
}
