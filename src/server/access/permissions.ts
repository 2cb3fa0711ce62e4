import { type DescMethod, isMessage } from "@bufbuild/protobuf";
import { type FieldMask, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Role } from "../../../gen/flagwire/v1/access_pb.js";
import { AdminService, UpdateTargetingRequestSchema } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../../gen/flagwire/v1/evaluation_service_pb.js";

const { EVALUATOR, READER, OPERATOR, EDITOR, ADMIN } = Role;

/** The least role that a method takes, where its service's usual one does not suffice or is too much. */
const exceptions: ReadonlyMap<string, Role> = new Map([
  [nameOf(EvaluationService.method.watch), READER],
  [nameOf(AdminService.method.killFlags), OPERATOR],
  [nameOf(AdminService.method.reviveFlags), OPERATOR],
  // With a mask of `enabled` alone; see requiredRoleFor.
  [nameOf(AdminService.method.updateTargeting), OPERATOR],
  // Both let a share grow no further.
  [nameOf(AdminService.method.pauseRamp), OPERATOR],
  [nameOf(AdminService.method.abortRamp), OPERATOR],
  [nameOf(AdminService.method.export), READER],
  [nameOf(AdminService.method.createEnvironment), ADMIN],
  [nameOf(AdminService.method.updateEnvironment), ADMIN],
  [nameOf(AdminService.method.deleteEnvironment), ADMIN],
  [nameOf(AdminService.method.createToken), ADMIN],
  [nameOf(AdminService.method.listTokens), ADMIN],
  [nameOf(AdminService.method.revokeToken), ADMIN],
  ["flagd.sync.v1.FlagSyncService/SyncFlags", READER],
  ["flagd.sync.v1.FlagSyncService/FetchAllFlags", READER],
]);

/** The least role that may call a method. A method of AdminService that nobody thought of needs an editor. */
export function requiredRole(method: DescMethod): Role {
  const exception = exceptions.get(nameOf(method));
  if (exception !== undefined) return exception;
  if (method.parent.typeName !== AdminService.typeName) return EVALUATOR;
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? READER : EDITOR;
}

/** The least role that a request takes whose method takes `usual`: a caller is told at once what suffices. */
export function requiredRoleFor(request: unknown, usual: Role): Role {
  // Without settings it asks for nothing, and is refused for that.
  if (!isMessage(request, UpdateTargetingRequestSchema) || request.targeting === undefined) return usual;
  return isSwitch(request.updateMask) ? usual : EDITOR;
}

/** Whether a flag is only switched on or off. */
function isSwitch(mask: FieldMask | undefined): boolean {
  return mask !== undefined && mask.paths.length > 0 && mask.paths.every((path) => path === "enabled");
}

const { method } = AdminService;

/** What concerns every environment, because flags, tokens and environments are shared, or because it may be anything. */
const everywhere: ReadonlySet<string> = new Set(
  [
    method.createFlag,
    method.updateFlag,
    method.deleteFlag,
    method.import,
    method.createEnvironment,
    method.updateEnvironment,
    method.deleteEnvironment,
    method.createToken,
    method.listTokens,
    method.revokeToken,
  ].map(nameOf),
);

/** Whether a method is only for those whose rights are not limited to some environments. */
export function concernsEverywhere(method: DescMethod): boolean {
  return everywhere.has(nameOf(method));
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
