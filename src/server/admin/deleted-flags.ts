import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { Refusal } from "../refusal.js";

export function deletedFlagsHandler(): ServiceHandlers<typeof AdminService>["listDeletedFlags"] {
  return () => new Refusal("UNIMPLEMENTED", "UNIMPLEMENTED", "ListDeletedFlags is not served yet");
}
