import { stringify } from "yaml";
import type { Output } from "../output.js";
import { findSetting } from "./find-setting.js";
import type { ConfigFile } from "./parse-config-file.js";
import type { SettingShape } from "./setting-shape.js";

/** A setting as it is in force. */
interface SettingInForce {
  readonly name: string;
  /** Null: none. What is secret is masked. */
  readonly value: string | null;
  readonly source: "option" | "environment" | "file" | "default";
  /** The option, the variable, or the file and the line. */
  readonly from?: string;
}

export interface ConfigToPrint {
  readonly shapes: readonly SettingShape[];
  /** The options, by their attributes. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile | undefined;
}

/** Prints every setting with where it comes from. The text is a configuration file itself. */
export async function printConfig(output: Output, { shapes, given, env, file }: ConfigToPrint): Promise<void> {
  const settings = shapes.map((shape) => inForce(shape, given[shape.attribute], env, file));
  if (output.json) {
    const byName = settings.map(({ name, ...setting }) => [name, setting]);
    return output.document({ config: file?.name ?? null, settings: Object.fromEntries(byName) });
  }
  const lines = shapes.map((shape, index) => {
    const { value = null, from = "default" } = settings[index] ?? {};
    return [toYamlLine(shape, value), from] as const;
  });
  const width = Math.max(...lines.map(([line]) => line.length));
  await output.raw(lines.map(([line, from]) => `${line.padEnd(width)}  # ${from}\n`).join(""));
}

function inForce(
  shape: SettingShape,
  option: unknown,
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile | undefined,
): SettingInForce {
  const { name, defaultText } = shape;
  const setting = findSetting(name, option === undefined ? undefined : String(option), env, file);
  if (setting === undefined) return { name, value: defaultText ?? null, source: "default" };
  const from = setting.source === "file" ? setting.what.slice(0, -`: ${name}`.length) : setting.what;
  return { name, value: masked(setting.text, shape), source: setting.source, from };
}

const mask = "********";

/** Hides what is secret by its name, and who logs in with what in a URL. */
function masked(text: string, { isSecret }: SettingShape): string {
  return isSecret ? mask : text.replaceAll(/(?<=:\/\/)[^/@\s,]*@/g, `${mask}@`);
}

function toYamlLine({ name, kind }: SettingShape, value: string | null): string {
  if (value === null) return `# ${name}:`;
  // A file named true is quoted: without quotes it would be no text.
  const isPlain = /^\d+$/.test(value) || (kind !== "value" && /^(true|false)$/.test(value));
  // A text of several lines would become a block.
  if (/[\n\r]/.test(value)) return `${name}: ${JSON.stringify(value)}`;
  return `${name}: ${isPlain ? value : stringify(value, { lineWidth: 0 }).trimEnd()}`;
}
