import { usageFailure } from "../failure.js";
import { readInput } from "../read-input.js";
import type { Session } from "../session.js";
import { findSetting } from "./find-setting.js";
import { type ConfigFile, parseConfigFile } from "./parse-config-file.js";
import type { SettingShape } from "./setting-shape.js";

/** The file that --config or FLAGWIRE_CONFIG names; undefined where neither does. */
export async function readConfigFile(
  { io }: Session,
  option: string | undefined,
  shapes: readonly SettingShape[],
): Promise<ConfigFile | undefined> {
  if (option === "") throw usageFailure("--config is empty; name a file");
  const path = findSetting("config", option, io.env, undefined);
  if (path === undefined) return undefined;
  const content = await readInput(path.text, io.stdin, `${path.what} ${path.text}`);
  return parseConfigFile(content, path.text === "-" ? "standard input" : path.text, shapes);
}
