import { ConnectError } from "@connectrpc/connect";
import type { GetEnvironmentResponse, Impact } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Session } from "../session.js";
import { describeImpact } from "./impact-lines.js";

/** Prints who would get another variant by a write that was only tried, or how to come to know. */
export async function tellImpacts(session: Session, impacts: readonly Impact[]): Promise<void> {
  for (const impact of impacts) {
    const found = await findEnvironment(session, impact.environment);
    for (const line of describeImpact(impact, found?.keptContexts)) await session.output.line(line);
  }
  const { environment } = session.options;
  if (impacts.some((impact) => impact.environment === environment)) return;
  const found = await findEnvironment(session, environment);
  if (found === undefined) return;
  if (!found.environment?.keepContexts) {
    session.output.note(
      `to see who would get another variant, let the server keep some contexts: flagwire environments set ${environment} --keep-contexts on`,
    );
  } else if (found.keptContexts === 0) {
    session.output.note(`who would get another variant is not known: no contexts of ${environment} are kept yet`);
  } else {
    await session.output.line(`nobody would get another variant in ${environment}`);
  }
}

/** Undefined where it cannot be seen: for a hint alone, nothing fails. */
async function findEnvironment(session: Session, name: string): Promise<GetEnvironmentResponse | undefined> {
  const remote = session.remote();
  try {
    return await remote.call((call) => remote.admin.getEnvironment({ name }, call));
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}
