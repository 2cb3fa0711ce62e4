export const defaultDataDirectory = "./data";

/** The data directory: of the option, else of FLAGWIRE_DATA, else the default. An empty variable counts as unset. */
export function dataDirectory(option: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  return option ?? (env.FLAGWIRE_DATA || defaultDataDirectory);
}
