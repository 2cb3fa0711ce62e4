import { clone, create } from "@bufbuild/protobuf";
import {
  type AdminService,
  CreateEnvironmentRequestSchema,
  CreateEnvironmentResponseSchema,
  DeleteEnvironmentRequestSchema,
  DeleteEnvironmentResponseSchema,
  GetEnvironmentResponseSchema,
  ListEnvironmentsResponseSchema,
  UpdateEnvironmentRequestSchema,
  UpdateEnvironmentResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Environment, EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { environmentId, type RecordChange, segmentId, targetingId } from "../../store/index.js";
import { maySee } from "../access/permit.js";
import { DEFAULT_ENVIRONMENT, environmentNotFound, invalidArgument } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { isRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import { type Admin, writeFor } from "./admin.js";
import { answerStore } from "./answer-store.js";
import { mergeFields } from "./field-mask.js";
import { initialTargeting } from "./initial-targeting.js";
import { putEnvironment, putSegment, putTargeting, remove } from "./records.js";

type Handlers = ServiceHandlers<typeof AdminService>;

export function environmentHandlers(
  admin: Admin,
): Pick<
  Handlers,
  "createEnvironment" | "getEnvironment" | "listEnvironments" | "updateEnvironment" | "deleteEnvironment"
> {
  return {
    createEnvironment: createEnvironment(admin),
    getEnvironment: getEnvironment(admin),
    listEnvironments: () => {
      const { catalog, revision } = admin.head;
      const environments = catalog.environmentNames().flatMap((name) => catalog.environment(name) ?? []);
      return create(ListEnvironmentsResponseSchema, { environments, revision });
    },
    updateEnvironment: updateEnvironment(admin),
    deleteEnvironment: deleteEnvironment(admin),
  };
}

const EDITABLE = { fields: ["description", "private_attributes", "keep_contexts"] } as const;

const missingEnvironment = () => invalidArgument([{ field: "environment", description: "is required" }]);

function getEnvironment({ head, contexts }: Admin): Handlers["getEnvironment"] {
  return ({ name }, call) =>
    answerStore(async () => {
      const isShown = head.catalog.environment(name) !== undefined && maySee(call, name);
      const keptContexts = isShown ? await contexts.count(name) : 0;
      // It may be gone since.
      const { catalog, revision } = head;
      const environment = catalog.environment(name);
      if (environment === undefined) return environmentNotFound(name);
      if (!isShown) return create(GetEnvironmentResponseSchema, { environment, revision });
      return create(GetEnvironmentResponseSchema, {
        environment,
        revision,
        keptContexts,
        segmentCount: catalog.segmentKeys(name).length,
        ...countFlags(catalog, name),
      });
    });
}

function countFlags(catalog: Catalog, environment: string) {
  const counts = { flagCount: 0, enabledFlags: 0, killedFlags: 0 };
  for (const key of catalog.flagKeys()) {
    const targeting = catalog.targeting(environment, key);
    counts.flagCount++;
    if (targeting?.enabled) counts.enabledFlags++;
    if (targeting?.killed !== undefined) counts.killedFlags++;
  }
  return counts;
}

function createEnvironment(admin: Admin): Handlers["createEnvironment"] {
  return (request, call) => {
    const { environment, copyFrom } = request;
    if (environment === undefined) return missingEnvironment();
    return writeFor(admin, CreateEnvironmentRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.environment(environment.name)) return environmentExists(environment.name);
        if (copyFrom !== "" && catalog.environment(copyFrom) === undefined) return environmentNotFound(copyFrom);
        return {
          changes: [
            putEnvironment(started(environment, catalog.environment(copyFrom))),
            ...initialRecords(catalog, environment, copyFrom),
          ],
          reads: "all",
          brokenReason: "ENVIRONMENT_IN_USE",
        };
      },
      answer: (catalog, revision) =>
        create(CreateEnvironmentResponseSchema, {
          environment: catalog.environment(environment.name) ?? environment,
          revision,
        }),
    });
  };
}

/** What is private in the environment that it is made after is private in the new one, if that has nothing to say of it. */
function started(environment: Environment, source: Environment | undefined): Environment {
  if (source === undefined || environment.privateAttributes.length > 0) return environment;
  return create(EnvironmentSchema, { ...environment, privateAttributes: source.privateAttributes });
}

/** The settings and segments that an environment starts with. */
function initialRecords(catalog: Catalog, { name }: Environment, copyFrom: string): RecordChange[] {
  const changes: RecordChange[] = [];
  for (const key of catalog.flagKeys()) {
    const flag = catalog.flag(key);
    const source = catalog.targeting(copyFrom, key);
    if (flag === undefined) continue;
    const targeting = source ? clone(TargetingSchema, source) : initialTargeting(flag, name);
    targeting.environment = name;
    changes.push(putTargeting(targeting));
  }
  for (const key of copyFrom === "" ? [] : catalog.segmentKeys(copyFrom)) {
    const source = catalog.segment(copyFrom, key);
    if (source === undefined) continue;
    const segment = clone(SegmentSchema, source);
    segment.environment = name;
    changes.push(putSegment(segment));
  }
  return changes;
}

function updateEnvironment(admin: Admin): Handlers["updateEnvironment"] {
  return (request, call) => {
    const { environment, updateMask } = request;
    if (environment === undefined) return missingEnvironment();
    return writeFor(admin, UpdateEnvironmentRequestSchema, request, call, {
      draft: (catalog) => {
        const current = catalog.environment(environment.name);
        if (current === undefined) return environmentNotFound(environment.name);
        const merged = mergeFields(EnvironmentSchema, current, environment, updateMask, EDITABLE);
        if (isRefusal(merged)) return merged;
        return { changes: [putEnvironment(merged)], reads: [], brokenReason: "ENVIRONMENT_IN_USE" };
      },
      answer: (catalog, revision) =>
        create(UpdateEnvironmentResponseSchema, {
          environment: catalog.environment(environment.name) ?? environment,
          revision,
        }),
    });
  };
}

function deleteEnvironment(admin: Admin): Handlers["deleteEnvironment"] {
  return (request, call) => {
    const { name } = request;
    return writeFor(admin, DeleteEnvironmentRequestSchema, request, call, {
      draft: (catalog) => {
        if (catalog.environment(name) === undefined) return environmentNotFound(name);
        if (name === DEFAULT_ENVIRONMENT) {
          return new Refusal("FAILED_PRECONDITION", "ENVIRONMENT_REQUIRED", `environment ${name} cannot be deleted`);
        }
        const targetings = catalog.flagKeys().filter((key) => catalog.targeting(name, key));
        return {
          changes: [
            remove(environmentId(name)),
            ...targetings.map((key) => remove(targetingId(name, key))),
            ...catalog.segmentKeys(name).map((key) => remove(segmentId(name, key))),
          ],
          reads: "all",
          brokenReason: "ENVIRONMENT_IN_USE",
        };
      },
      answer: (_catalog, revision) => create(DeleteEnvironmentResponseSchema, { revision }),
    });
  };
}

function environmentExists(name: string): Refusal {
  return new Refusal(
    "ALREADY_EXISTS",
    "ENVIRONMENT_EXISTS",
    `there is an environment ${JSON.stringify(name)} already`,
    {
      metadata: { environment: name },
    },
  );
}
