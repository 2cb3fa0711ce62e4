import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { listUsageHandler } from "../usage/list-usage.js";
import type { UsageLedger } from "../usage/usage-ledger.js";
import type { Admin } from "./admin.js";
import { environmentHandlers } from "./environments.js";
import { exportHandler } from "./export.js";
import { flagHandlers } from "./flags.js";
import { historyHandler } from "./history.js";
import { importHandler } from "./import.js";
import { segmentKeysHandler } from "./segment-keys.js";
import { segmentHandlers } from "./segments.js";
import { targetingHandlers } from "./targetings.js";
import { tokenHandlers } from "./tokens.js";

/** The handlers of AdminService, whatever the transport. */
export function adminHandlers(admin: Admin, usage: UsageLedger): ServiceHandlers<typeof AdminService> {
  return {
    ...flagHandlers(admin),
    ...targetingHandlers(admin),
    ...segmentHandlers(admin),
    changeSegmentKeys: segmentKeysHandler(admin),
    ...environmentHandlers(admin),
    ...tokenHandlers(admin),
    import: importHandler(admin),
    export: exportHandler(admin),
    listHistory: historyHandler(admin),
    listUsage: listUsageHandler({ head: admin.head, usage }),
  };
}
