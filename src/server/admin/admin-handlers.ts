import type { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { ListConnectedClients } from "../clients/client-directory.js";
import { listClientsHandler } from "../clients/list-clients.js";
import type { ServiceHandlers } from "../handlers.js";
import { hourlyUsageHandler } from "../usage/list-hourly-usage.js";
import { listUsageHandler } from "../usage/list-usage.js";
import type { UsageLedger } from "../usage/usage-ledger.js";
import type { Admin } from "./admin.js";
import { deletedFlagsHandler } from "./deleted-flags.js";
import { environmentHandlers } from "./environments.js";
import { exportHandler } from "./export.js";
import { flagHandlers } from "./flags.js";
import { historyHandler } from "./history.js";
import { historyEntryHandler } from "./history-entry.js";
import { importHandler } from "./import.js";
import { rampHandlers } from "./ramps.js";
import { rollbackHandler } from "./rollback.js";
import { segmentKeysHandler } from "./segment-keys.js";
import { segmentHandlers } from "./segments.js";
import { staleFlagsHandler } from "./stale-flags.js";
import { targetingHandlers } from "./targetings.js";
import { tokenHandlers } from "./tokens.js";

const noClients: ListConnectedClients = async () => ({ clients: [], totalCount: 0 });

/** The handlers of AdminService, whatever the transport. */
export function adminHandlers(
  admin: Admin,
  usage: UsageLedger,
  listClients: ListConnectedClients = noClients,
): ServiceHandlers<typeof AdminService> {
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
    getHistoryEntry: historyEntryHandler(admin),
    rollback: rollbackHandler(admin),
    ...rampHandlers(admin),
    listStaleFlags: staleFlagsHandler(admin, usage),
    listClients: listClientsHandler(admin.head, listClients),
    listUsage: listUsageHandler({ head: admin.head, usage }),
    listHourlyUsage: hourlyUsageHandler({ head: admin.head, usage }),
    listDeletedFlags: deletedFlagsHandler(admin),
  };
}
