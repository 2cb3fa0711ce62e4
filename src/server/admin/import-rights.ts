import { AdminService } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { RecordChange } from "../../store/index.js";
import { requiredRole } from "../access/permissions.js";
import { refuseRole } from "../access/permit.js";
import type { Call } from "../handlers.js";
import { Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";

/**
 * Why a caller may not make the changes of a file: to create or change an environment takes in a file what it takes by hand. A file
 * may well hold environments that stay as they are.
 */
export function refuseEnvironments(
  call: Pick<Call, "identity">,
  changes: readonly RecordChange[],
  catalog: Catalog,
): Refusal | undefined {
  const { createEnvironment, updateEnvironment } = AdminService.method;
  for (const { after } of changes) {
    if (after?.kind.case !== "environment") continue;
    const { name } = after.kind.value;
    const isNew = catalog.environment(name) === undefined;
    const denied = refuseRole(call, requiredRole(isNew ? createEnvironment : updateEnvironment));
    if (denied === undefined) continue;
    const message = `the file would ${isNew ? "create" : "change"} the environment ${name}: ${denied.message}`;
    return new Refusal(denied.code, denied.reason, message, denied.details);
  }
  return undefined;
}
