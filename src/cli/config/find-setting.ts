import type { ConfigFile } from "./parse-config-file.js";
import { variableOf } from "./setting-shape.js";

/** A text, and where it came from. */
export interface Setting {
  readonly text: string;
  readonly source: "option" | "environment" | "file";
  /** What to name in a complaint: `--workers`, `FLAGWIRE_WORKERS`, `flagwire.yaml:3: workers`. */
  readonly what: string;
}

/** A setting by its option, else its environment variable, else the configuration file. An empty variable counts as unset. */
export function findSetting(
  name: string,
  option: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile | undefined,
): Setting | undefined {
  if (option !== undefined) return { text: option, source: "option", what: `--${name}` };
  const variable = variableOf(name);
  const text = env[variable];
  if (text !== undefined && text !== "") return { text, source: "environment", what: variable };
  const entry = file?.entries.get(name);
  return entry && { text: entry.text, source: "file", what: `${entry.place}: ${name}` };
}
