import { usageFailure } from "./failure.js";

export const defaultDataDirectory = "./data";

/**
 * The data directory: of the option, else of FLAGWIRE_DATA, else the default. An empty variable counts as unset; an empty
 * option is refused, because the path would be that of whatever directory this is.
 */
export function dataDirectory(option: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  if (option === "") throw usageFailure("--data is empty; name a directory");
  return option ?? (env.FLAGWIRE_DATA || defaultDataDirectory);
}
