import { create, type MessageShape } from "@bufbuild/protobuf";
import {
  type AdminService,
  type ExportResponse,
  ExportResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { SegmentKeysSchema, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { cutSegment } from "../../watch/index.js";
import { maySee, resolveEnvironment } from "../access/permit.js";
import { environmentNotFound } from "../environment.js";
import type { ServiceHandlers } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import type { Admin } from "./admin.js";
import { ByteBudget } from "./page.js";

type Handlers = ServiceHandlers<typeof AdminService>;
type FlagFile = MessageShape<typeof FlagFileSchema>;

export function exportHandler(admin: Admin): Handlers["export"] {
  return async function* exportParts(request, call): AsyncGenerator<OrRefusal<ExportResponse>> {
    const { catalog, revision } = admin.head;
    const { environment } = request;
    const denied = environment === "" ? undefined : resolveEnvironment(environment, call);
    if (isRefusal(denied)) {
      yield denied;
      return;
    }
    if (environment !== "" && catalog.environment(environment) === undefined) {
      yield environmentNotFound(environment);
      return;
    }
    // Collected before the first pause: the catalog moves on, the records in these lists do not.
    const names = (environment === "" ? catalog.environmentNames() : [environment]).filter((name) =>
      maySee(call, name),
    );
    const file = collect(catalog, names);
    for (const part of partsOf(file)) yield create(ExportResponseSchema, { file: part, revision });
  };
}

/** The records themselves, not copies. */
function collect(catalog: Catalog, environments: readonly string[]): FlagFile {
  const file = create(FlagFileSchema);
  const flagKeys = catalog.flagKeys();
  for (const key of flagKeys) file.flags.push(...present(catalog.flag(key)));
  for (const name of environments) {
    file.environments.push(...present(catalog.environment(name)));
    for (const key of flagKeys) file.targetings.push(...present(catalog.targeting(name, key)));
    for (const key of catalog.segmentKeys(name)) file.segments.push(...present(catalog.segment(name, key)));
  }
  return file;
}

function present<T>(record: T | undefined): readonly T[] {
  return record === undefined ? [] : [record];
}

/** What is around the items of a part: the file's tag and length, and the revision; and the item's own. */
const PART_OVERHEAD_BYTES = 64;

/** Made one by one, so that a large export lets others on between them. */
function* partsOf(file: FlagFile): Iterable<FlagFile> {
  let part = create(FlagFileSchema);
  let budget = new ByteBudget();
  for (const [fits, put] of itemsOf(file)) {
    if (!fits(budget)) {
      yield part;
      part = create(FlagFileSchema);
      budget = new ByteBudget();
      fits(budget);
    }
    put(part);
  }
  yield part;
}

/** Takes its room, if there is any; and is put into a part. */
type Item = readonly [fits: (budget: ByteBudget) => boolean, put: (part: FlagFile) => void];

function* itemsOf(file: FlagFile): Iterable<Item> {
  for (const one of file.environments)
    yield [(budget) => budget.take(EnvironmentSchema, one), (part) => part.environments.push(one)];
  for (const one of file.flags) yield [(budget) => budget.take(FlagSchema, one), (part) => part.flags.push(one)];
  for (const one of file.targetings)
    yield [(budget) => budget.take(TargetingSchema, one), (part) => part.targetings.push(one)];
  for (const one of file.segments) {
    const { segment, more } = cutSegment(one, contractLimits.messageBytes - PART_OVERHEAD_BYTES);
    yield [(budget) => budget.take(SegmentSchema, segment), (part) => part.segments.push(segment)];
    for (const keys of more)
      yield [(budget) => budget.take(SegmentKeysSchema, keys), (part) => part.segmentKeys.push(keys)];
  }
}
