import { create, type MessageShape } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ExportResponse,
  ExportResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { environmentNotFound } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import type { OrRefusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import type { Admin } from "./admin.js";
import { ByteBudget } from "./page.js";

type Handlers = ServiceHandlers<typeof AdminService>;
type FlagFile = MessageShape<typeof FlagFileSchema>;

export function exportHandler(admin: Admin): Handlers["export"] {
  return async function* exportParts(request): AsyncGenerator<OrRefusal<ExportResponse>> {
    const { catalog, revision } = admin.head;
    const { environment } = request;
    if (environment !== "" && catalog.environment(environment) === undefined) {
      yield environmentNotFound(environment);
      return;
    }
    // Collected before the first pause: the catalog moves on, the records in these lists do not.
    const parts = [...partsOf(catalog, environment === "" ? catalog.environmentNames() : [environment])];
    for (const file of parts) yield create(ExportResponseSchema, { file, revision });
  };
}

function* partsOf(catalog: Catalog, environments: readonly string[]): Iterable<FlagFile> {
  let part = create(FlagFileSchema);
  let budget = new ByteBudget();
  const add = function* <T>(fits: (budget: ByteBudget) => boolean, put: (part: FlagFile) => T) {
    if (!fits(budget)) {
      yield part;
      part = create(FlagFileSchema);
      budget = new ByteBudget();
      fits(budget);
    }
    put(part);
  };
  for (const name of environments) {
    const environment = catalog.environment(name);
    if (environment)
      yield* add(
        (b) => b.take(EnvironmentSchema, environment),
        (p) => p.environments.push(environment),
      );
  }
  for (const key of catalog.flagKeys()) {
    const flag = catalog.flag(key);
    if (flag)
      yield* add(
        (b) => b.take(FlagSchema, flag),
        (p) => p.flags.push(flag),
      );
  }
  for (const name of environments) {
    for (const key of catalog.flagKeys()) {
      const targeting = catalog.targeting(name, key);
      if (targeting)
        yield* add(
          (b) => b.take(TargetingSchema, targeting),
          (p) => p.targetings.push(targeting),
        );
    }
    for (const key of catalog.segmentKeys(name)) {
      const segment = catalog.segment(name, key);
      if (segment)
        yield* add(
          (b) => b.take(SegmentSchema, segment),
          (p) => p.segments.push(segment),
        );
    }
  }
  yield part;
}
