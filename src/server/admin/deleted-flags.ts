import { create } from "@bufbuild/protobuf";
import { type AdminService, ListDeletedFlagsResponseSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type ReservedKey, ReservedKeySchema } from "../../../gen/flagwire/v1/flag_pb.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal } from "../refusal.js";
import type { Admin } from "./admin.js";
import { ByteBudget, pageSizeOf } from "./page.js";

export function deletedFlagsHandler(admin: Admin): ServiceHandlers<typeof AdminService>["listDeletedFlags"] {
  return ({ pageSize, pageToken }) => {
    const size = pageSizeOf(pageSize, 500);
    if (isRefusal(size)) return size;
    const { catalog, revision } = admin.head;
    const reservedKeys: ReservedKey[] = [];
    const budget = new ByteBudget();
    for (const key of catalog.reservedKeys()) {
      const reserved = catalog.reservedKey(key);
      if (key <= pageToken || reserved === undefined) continue;
      if (reservedKeys.length === size || !budget.take(ReservedKeySchema, reserved)) {
        const nextPageToken = reservedKeys.at(-1)?.key ?? "";
        return create(ListDeletedFlagsResponseSchema, { reservedKeys, nextPageToken, revision });
      }
      reservedKeys.push(reserved);
    }
    return create(ListDeletedFlagsResponseSchema, { reservedKeys, revision });
  };
}
