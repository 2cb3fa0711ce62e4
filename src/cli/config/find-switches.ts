import { usageFailure } from "../failure.js";
import { findSetting } from "./find-setting.js";
import type { ConfigFile } from "./parse-config-file.js";
import type { SettingShape } from "./setting-shape.js";

/** The switches that are set by a variable or the file, by their attributes. */
export function findSwitches(
  shapes: readonly SettingShape[],
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile | undefined,
): Readonly<Record<string, boolean>> {
  const switches: Record<string, boolean> = {};
  for (const { name, attribute, kind } of shapes) {
    const setting = kind === "switch" ? findSetting(name, undefined, env, file) : undefined;
    if (setting === undefined) continue;
    if (setting.text !== "true" && setting.text !== "false") {
      throw usageFailure(`${setting.what} ${JSON.stringify(setting.text)} is not true or false`);
    }
    switches[attribute] = setting.text === "true";
  }
  return switches;
}
