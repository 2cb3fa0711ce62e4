import { access, constants, stat } from "node:fs/promises";
import { usageFailure } from "../failure.js";

/** Refuses what is no folder to look into. `what` names the argument in a complaint. */
export async function checkFolder(what: string, path: string): Promise<void> {
  const found = await stat(path).catch((error: Error) => error);
  if (found instanceof Error) throw usageFailure(`${what} cannot be read: ${found.message}`);
  if (!found.isDirectory()) throw usageFailure(`${what} ${path} is not a folder`);
  // Below it, what cannot be read is told and passed over. All of it is too much to pass over: nothing would be wrong.
  const denied = await access(path, constants.R_OK | constants.X_OK).catch((error: Error) => error);
  if (denied instanceof Error) throw usageFailure(`${what} cannot be read: ${denied.message}`);
}
