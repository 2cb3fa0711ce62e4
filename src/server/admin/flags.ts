import { create } from "@bufbuild/protobuf";
import {
  type AdminService,
  CreateFlagRequestSchema,
  CreateFlagResponseSchema,
  DeleteFlagRequestSchema,
  DeleteFlagResponseSchema,
  GetFlagResponseSchema,
  ListFlagsResponseSchema,
  UpdateFlagRequestSchema,
  UpdateFlagResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { flagId, reservedKeyId, targetingId } from "../../store/index.js";
import { maySee, resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { type Admin, writeFor } from "./admin.js";
import { mergeFields } from "./field-mask.js";
import { initialTargeting } from "./initial-targeting.js";
import { ByteBudget, pageSizeOf } from "./page.js";
import { putFlag, putTargeting, remove, reserveKey } from "./records.js";

const EDITABLE = {
  fields: ["variants", "kind", "description", "owner", "tags", "expires_at", "ticket", "metadata"],
} as const;

type Handlers = ServiceHandlers<typeof AdminService>;

export function flagHandlers(
  admin: Admin,
): Pick<Handlers, "createFlag" | "getFlag" | "listFlags" | "updateFlag" | "deleteFlag"> {
  return {
    createFlag: createFlag(admin),
    getFlag: getFlag(admin),
    listFlags: listFlags(admin),
    updateFlag: updateFlag(admin),
    deleteFlag: deleteFlag(admin),
  };
}

const missingFlag = () => invalidArgument([{ field: "flag", description: "is required" }]);

function createFlag(admin: Admin): Handlers["createFlag"] {
  return (request, call) => {
    const { flag, targeting, force } = request;
    if (flag === undefined) return missingFlag();
    return writeFor(admin, CreateFlagRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.flag(flag.key)) return flagExists(flag.key);
        const reserved = catalog.reservedKey(flag.key) !== undefined;
        if (reserved && !force) return keyReserved(flag.key);
        const environments = catalog.environmentNames();
        return {
          changes: [
            putFlag(flag),
            ...environments.map((name) => putTargeting(initialTargeting(flag, name, targeting))),
            ...(reserved ? [remove(reservedKeyId(flag.key))] : []),
          ],
          reads: "all",
          brokenReason: "FLAG_IN_USE",
        };
      },
      answer: (catalog, revision) => create(CreateFlagResponseSchema, { ...flagNow(catalog, flag.key), revision }),
    });
  };
}

function getFlag(admin: Admin): Handlers["getFlag"] {
  return ({ key }, call) => {
    const { catalog, revision } = admin.head;
    const flag = catalog.flag(key);
    if (flag === undefined) return flagNotFound(key);
    const names = catalog.environmentNames().filter((name) => maySee(call, name));
    const targetings = names.flatMap((name) => catalog.targeting(name, key) ?? []);
    return create(GetFlagResponseSchema, { flag, targetings, revision });
  };
}

function listFlags(admin: Admin): Handlers["listFlags"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const { catalog, revision } = admin.head;
    if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
    const size = pageSizeOf(request.pageSize, 500);
    if (isRefusal(size)) return size;
    const flags: Flag[] = [];
    const targetings: Targeting[] = [];
    const budget = new ByteBudget();
    for (const key of catalog.flagKeys()) {
      const flag = catalog.flag(key);
      if (key <= request.pageToken || flag === undefined) continue;
      if (request.tag !== "" && !flag.tags.includes(request.tag)) continue;
      const targeting = catalog.targeting(environment, key) ?? create(TargetingSchema, { flagKey: key, environment });
      const full = flags.length === size || !budget.take(FlagSchema, flag) || !budget.take(TargetingSchema, targeting);
      if (full && flags.length > 0) {
        const nextPageToken = flags.at(-1)?.key ?? "";
        return create(ListFlagsResponseSchema, { flags, targetings, nextPageToken, revision });
      }
      flags.push(flag);
      targetings.push(targeting);
    }
    return create(ListFlagsResponseSchema, { flags, targetings, revision });
  };
}

function updateFlag(admin: Admin): Handlers["updateFlag"] {
  return (request, call) => {
    const { flag, updateMask } = request;
    if (flag === undefined) return missingFlag();
    return writeFor(admin, UpdateFlagRequestSchema, request, call, {
      draft: (catalog) => {
        const current = catalog.flag(flag.key);
        if (current === undefined) return flagNotFound(flag.key);
        if (flag.type !== 0 && flag.type !== current.type) return typeChanged(flag.key);
        const merged = mergeFields(FlagSchema, current, flag, updateMask, EDITABLE);
        if (isRefusal(merged)) return merged;
        return { changes: [putFlag(merged)], reads: "all", brokenReason: "VARIANT_IN_USE" };
      },
      answer: (catalog, revision) => create(UpdateFlagResponseSchema, { ...flagNow(catalog, flag.key), revision }),
    });
  };
}

function deleteFlag(admin: Admin): Handlers["deleteFlag"] {
  return (request, call) => {
    const { key } = request;
    return writeFor(admin, DeleteFlagRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.flag(key) === undefined) return flagNotFound(key);
        const targetings = catalog.environmentNames().filter((name) => catalog.targeting(name, key));
        return {
          changes: [remove(flagId(key)), ...targetings.map((name) => remove(targetingId(name, key))), reserveKey(key)],
          reads: "all",
          brokenReason: "FLAG_IN_USE",
        };
      },
      answer: (_catalog, revision) => create(DeleteFlagResponseSchema, { revision }),
    });
  };
}

/** The flag as it is now. None where a write is repeated whose flag was deleted since: that is no failure of the write. */
function flagNow(catalog: Catalog, key: string): { readonly flag?: Flag } {
  const flag = catalog.flag(key);
  return flag ? { flag } : {};
}

function flagExists(key: string): Refusal {
  return new Refusal("ALREADY_EXISTS", "FLAG_EXISTS", `there is a flag ${JSON.stringify(key)} already`, {
    metadata: { flag_key: key },
  });
}

function keyReserved(key: string): Refusal {
  const message = `${JSON.stringify(key)} was the key of a flag that was deleted; code may still ask for it; force takes it all the same`;
  return new Refusal("FAILED_PRECONDITION", "KEY_RESERVED", message, {
    violations: [{ field: "flag.key", description: "is the key of a deleted flag" }],
    metadata: { flag_key: key },
  });
}

function typeChanged(key: string): Refusal {
  const message = `the type of flag ${JSON.stringify(key)} cannot change: callers have compiled it in`;
  return new Refusal("FAILED_PRECONDITION", "TYPE_CHANGED", message, {
    violations: [{ field: "flag.type", description: "cannot change while the flag exists" }],
    metadata: { flag_key: key },
  });
}
