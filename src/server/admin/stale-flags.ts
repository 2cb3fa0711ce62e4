import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AdminService,
  ListStaleFlagsResponseSchema,
  type StaleFlag,
  StaleFlagSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { servedToAll } from "../../engine/index.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, Refusal } from "../refusal.js";
import type { UsageLedger } from "../usage/usage-ledger.js";
import type { Admin } from "./admin.js";
import { readLastUses } from "./last-uses.js";
import { ByteBudget } from "./page.js";
import { type FlagFacts, lastChangedMs, type StaleAfter, staleReasons } from "./staleness.js";

type Handlers = ServiceHandlers<typeof AdminService>;

const DAY_MS = 86_400_000;
const DEFAULT_ROLLED_OUT_DAYS = 30;
const DEFAULT_IDLE_DAYS = 90;

/** The answer comes whole, and clients of gRPC take 4 MiB: some 20,000 flags. */
const MAX_BYTES = 3_145_728;

export function staleFlagsHandler(admin: Admin, usage: UsageLedger): Handlers["listStaleFlags"] {
  return async (request, call) => {
    const name = resolveEnvironment(request.environment, call);
    if (isRefusal(name)) return name;
    if (admin.head.catalog.environment(name) === undefined) return environmentNotFound(name);
    const uses = await readLastUses(usage, name);
    const { catalog, revision } = admin.head;
    const environment = catalog.environment(name);
    if (environment === undefined) return environmentNotFound(name);
    const nowMs = admin.writer.clock.now();
    const after = {
      rolledOutMs: (request.rolledOutDays || DEFAULT_ROLLED_OUT_DAYS) * DAY_MS,
      idleMs: (request.idleDays || DEFAULT_IDLE_DAYS) * DAY_MS,
    };
    const { createdAt } = environment;
    const environmentSinceMs = createdAt === undefined ? undefined : timestampMs(createdAt);
    const flags: StaleFlag[] = [];
    const budget = new ByteBudget(MAX_BYTES);
    for (const key of catalog.flagKeys()) {
      const flag = catalog.flag(key);
      if (flag === undefined) continue;
      const { lastMs, sinceMs: usageSinceMs } = uses;
      const targeting = catalog.targeting(name, key);
      const stale = toStaleFlag(
        { flag, targeting, environmentSinceMs, lastUsedMs: lastMs.get(key), usageSinceMs },
        after,
        nowMs,
      );
      if (stale === undefined) continue;
      if (!budget.take(StaleFlagSchema, stale)) return tooMany;
      flags.push(stale);
    }
    return create(ListStaleFlagsResponseSchema, { flags, revision });
  };
}

/** Undefined where nothing is wrong with it. */
function toStaleFlag(facts: FlagFacts, after: StaleAfter, nowMs: number): StaleFlag | undefined {
  const reasons = staleReasons(facts, after, nowMs);
  if (reasons.length === 0) return undefined;
  const { flag, targeting, lastUsedMs } = facts;
  const { key, kind, owner, ticket, expiresAt } = flag;
  const changedMs = lastChangedMs(facts);
  return create(StaleFlagSchema, {
    key,
    reasons: [...reasons],
    kind,
    owner,
    ticket,
    servedVariant: servedToAll(targeting) ?? "",
    ...(expiresAt && { expiresAt }),
    ...(changedMs !== undefined && { changedAt: timestampFromMs(changedMs) }),
    ...(lastUsedMs !== undefined && { lastUsedTime: timestampFromMs(lastUsedMs) }),
  });
}

const tooMany = new Refusal(
  "RESOURCE_EXHAUSTED",
  "RESPONSE_TOO_LARGE",
  `the stale flags are larger than ${MAX_BYTES} bytes together; ask with more days, or clean up the expired ones first`,
);
