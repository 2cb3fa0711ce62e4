import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { Refusal } from "../refusal.js";

export function hourlyUsageHandler(): ServiceHandlers<typeof AdminService>["listHourlyUsage"] {
  return () => new Refusal("UNIMPLEMENTED", "UNIMPLEMENTED", "ListHourlyUsage is not served yet");
}
