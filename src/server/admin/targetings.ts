import { clone, create } from "@bufbuild/protobuf";
import { type FieldMask, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AdminService,
  GetTargetingResponseSchema,
  KillFlagsRequestSchema,
  KillFlagsResponseSchema,
  ReviveFlagsRequestSchema,
  ReviveFlagsResponseSchema,
  type UpdateTargetingRequest,
  UpdateTargetingRequestSchema,
  type UpdateTargetingResponse,
  UpdateTargetingResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { KillSchema, type Targeting, TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { environmentId, flagId } from "../../store/index.js";
import { authorOf } from "../access/author.js";
import { resolveEnvironment } from "../access/permit.js";
import { environmentNotFound, flagNotFound, invalidArgument } from "../environment.js";
import type { Call, ServiceHandlers } from "../handlers.js";
import { ImpactPreview } from "../impacts/impact-preview.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { type Admin, writeFor } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { mergeFields } from "./field-mask.js";
import { initialTargeting, withRuleIds } from "./initial-targeting.js";
import { putTargeting } from "./records.js";
import type { Draft } from "./writer.js";

const EDITABLE = {
  fields: ["enabled", "off_variant", "prerequisites", "targets", "rules", "default"],
} as const;

type Handlers = ServiceHandlers<typeof AdminService>;

export function targetingHandlers(
  admin: Admin,
): Pick<Handlers, "getTargeting" | "updateTargeting" | "killFlags" | "reviveFlags"> {
  return {
    getTargeting: getTargeting(admin),
    updateTargeting: updateTargeting(admin),
    killFlags: killFlags(admin),
    reviveFlags: reviveFlags(admin),
  };
}

function getTargeting(admin: Admin): Handlers["getTargeting"] {
  return (request, call) => {
    const { catalog, revision } = admin.head;
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const targeting = currentTargeting(catalog, environment, request.flagKey);
    return isRefusal(targeting) ? targeting : create(GetTargetingResponseSchema, { targeting, revision });
  };
}

function updateTargeting(admin: Admin): Handlers["updateTargeting"] {
  return (request, call) => {
    const { targeting, updateMask } = request;
    if (targeting === undefined) return invalidArgument([{ field: "targeting", description: "is required" }]);
    const named = [request.environment, targeting.environment].filter((name) => name !== "");
    if (named.length === 2 && named[0] !== named[1]) {
      const description = `is ${named[1]}, but the request's environment is ${named[0]}`;
      return invalidArgument([{ field: "targeting.environment", description }]);
    }
    const environment = resolveEnvironment(named[0] ?? "", call);
    if (isRefusal(environment)) return environment;
    const change = { environment, targeting, updateMask };
    return request.dryRun
      ? tryTargeting(admin, change, request, call)
      : writeTargeting(admin, change, request, call, undefined);
  };
}

/** What an UpdateTargeting is to change. */
interface TargetingChange {
  readonly environment: string;
  readonly targeting: Targeting;
  readonly updateMask: FieldMask | undefined;
}

function writeTargeting(
  admin: Admin,
  change: TargetingChange,
  request: UpdateTargetingRequest,
  call: Call,
  preview: ImpactPreview | undefined,
): Promise<OrRefusal<UpdateTargetingResponse>> {
  const { environment, targeting } = change;
  return writeFor(admin, UpdateTargetingRequestSchema, request, call, {
    draft: (catalog) => {
      const draft = draftTargeting(catalog, change);
      return preview === undefined || isRefusal(draft) ? draft : preview.of(draft);
    },
    answer: (catalog, revision) => {
      const value = catalog.targeting(environment, targeting.flagKey);
      // None where a write is repeated whose flag was deleted since.
      return create(UpdateTargetingResponseSchema, { ...(value && { targeting: value }), revision });
    },
  });
}

function tryTargeting(
  admin: Admin,
  change: TargetingChange,
  request: UpdateTargetingRequest,
  call: Call,
): Promise<OrRefusal<UpdateTargetingResponse>> {
  return answerStore(async () => {
    const preview = new ImpactPreview(admin, call);
    const answer = await writeTargeting(admin, change, request, call, preview);
    if (isRefusal(answer)) return answer;
    const impacts = await preview.impacts();
    return isRefusal(impacts) ? impacts : create(UpdateTargetingResponseSchema, { ...answer, impacts });
  });
}

function draftTargeting(catalog: Catalog, { environment, targeting, updateMask }: TargetingChange): OrRefusal<Draft> {
  const current = currentTargeting(catalog, environment, targeting.flagKey);
  if (isRefusal(current)) return current;
  const merged = mergeFields(TargetingSchema, current, targeting, updateMask, EDITABLE);
  if (isRefusal(merged)) return merged;
  return {
    changes: [putTargeting(withRuleIds(merged))],
    reads: hasReferences(merged) ? "all" : [flagId(targeting.flagKey), environmentId(environment)],
    brokenReason: "FLAG_IN_USE",
  };
}

function killFlags(admin: Admin): Handlers["killFlags"] {
  return (request, call) => {
    const { reason } = request;
    if (reason === "")
      return invalidArgument([{ field: "reason", description: "is required: say why, for those who look later" }]);
    if (reason.length > 1_024)
      return invalidArgument([{ field: "reason", description: "is longer than 1024 characters" }]);
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    const killed = create(KillSchema, {
      killedAt: timestampFromMs(admin.writer.clock.now()),
      killedBy: authorOf(call),
      reason,
    });
    let unchangedFlagKeys: readonly string[] = [];
    return writeFor(admin, KillFlagsRequestSchema, request, call, {
      draft: (catalog) => {
        unchangedFlagKeys = matchingFlags(catalog, request).filter((key) => isKilledIn(catalog, environment, key));
        return changeKills(catalog, environment, request, (targeting) => {
          // A flag that is killed stays killed for its first reason.
          targeting.killed ??= killed;
        });
      },
      answer: (catalog, revision, isRepetition) =>
        create(KillFlagsResponseSchema, {
          flagKeys: matchingFlags(catalog, request).filter((key) => isKilledIn(catalog, environment, key)),
          revision,
          unchangedFlagKeys: isRepetition ? [] : [...unchangedFlagKeys],
        }),
    });
  };
}

function reviveFlags(admin: Admin): Handlers["reviveFlags"] {
  return (request, call) => {
    const environment = resolveEnvironment(request.environment, call);
    if (isRefusal(environment)) return environment;
    let unchangedFlagKeys: readonly string[] = [];
    const isAlive = (catalog: Catalog, key: string) => !isKilledIn(catalog, environment, key);
    return writeFor(admin, ReviveFlagsRequestSchema, request, call, {
      draft: (catalog) => {
        unchangedFlagKeys = matchingFlags(catalog, request).filter((key) => isAlive(catalog, key));
        return changeKills(catalog, environment, request, (targeting) => {
          delete targeting.killed;
        });
      },
      answer: (catalog, revision, isRepetition) =>
        create(ReviveFlagsResponseSchema, {
          flagKeys: matchingFlags(catalog, request).filter((key) => isAlive(catalog, key)),
          revision,
          unchangedFlagKeys: isRepetition ? [] : [...unchangedFlagKeys],
        }),
    });
  };
}

function isKilledIn(catalog: Catalog, environment: string, key: string): boolean {
  return catalog.targeting(environment, key)?.killed !== undefined;
}

/** Which flags a kill or revival is about. */
interface FlagSelection {
  readonly flagKeys: readonly string[];
  readonly tag: string;
}

function changeKills(
  catalog: Catalog,
  environment: string,
  selection: FlagSelection,
  change: (targeting: Targeting) => void,
) {
  const keys = selectFlags(catalog, environment, selection);
  if (isRefusal(keys)) return keys;
  const changes = [];
  for (const key of keys) {
    const current = currentTargeting(catalog, environment, key);
    if (isRefusal(current)) return current;
    const targeting = clone(TargetingSchema, current);
    change(targeting);
    changes.push(putTargeting(targeting));
  }
  return {
    changes,
    reads: [...keys.map(flagId), environmentId(environment)],
    brokenReason: "FLAG_IN_USE",
    unchecked: true,
    isUrgent: true,
  } as const;
}

function selectFlags(
  catalog: Catalog,
  environment: string,
  { flagKeys, tag }: FlagSelection,
): OrRefusal<readonly string[]> {
  if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
  if (flagKeys.length === 0 && tag === "") {
    return invalidArgument([{ field: "flag_keys", description: "at least one flag, or a tag, is required" }]);
  }
  for (const key of flagKeys) if (catalog.flag(key) === undefined) return flagNotFound(key);
  if (tag !== "" && matchingFlags(catalog, { flagKeys: [], tag }).length === 0) {
    return new Refusal("NOT_FOUND", "TAG_NOT_FOUND", `no flag has the tag ${JSON.stringify(tag)}`, {
      metadata: { tag },
    });
  }
  return matchingFlags(catalog, { flagKeys, tag });
}

/** The flags that are named or tagged, sorted; what does not exist is left out. */
function matchingFlags(catalog: Catalog, { flagKeys, tag }: FlagSelection): string[] {
  const named = new Set(flagKeys);
  return catalog.flagKeys().filter((key) => named.has(key) || (tag !== "" && catalog.flag(key)?.tags.includes(tag)));
}

/** The settings of a flag in an environment, as they are or would begin. */
export function currentTargeting(catalog: Catalog, environment: string, flagKey: string): OrRefusal<Targeting> {
  if (catalog.environment(environment) === undefined) return environmentNotFound(environment);
  const flag = catalog.flag(flagKey);
  if (flag === undefined) return flagNotFound(flagKey);
  return catalog.targeting(environment, flagKey) ?? initialTargeting(flag, environment);
}

function hasReferences(targeting: Targeting): boolean {
  return targeting.prerequisites.length > 0 || targeting.rules.length > 0;
}
