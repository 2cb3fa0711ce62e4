import type { ImportResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Session } from "../session.js";
import { tellImpacts } from "./tell-impacts.js";
import { describeWhole } from "./whole-changes.js";

/** Whether an import that was only tried would change something. */
export function wouldChange({ changes, omittedChanges }: ImportResponse): boolean {
  return changes.length + omittedChanges > 0;
}

/** Prints what an import that was only tried would change, and who would get another variant by it. */
export async function tellForeseen(session: Session, response: ImportResponse): Promise<void> {
  if (!wouldChange(response)) return session.output.line("nothing would change");
  for (const line of describeWhole(response.changes, response.omittedChanges)) await session.output.line(line);
  await tellImpacts(session, response.impacts);
}
