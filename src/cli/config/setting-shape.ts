import type { Command } from "commander";

/** What a setting of `serve` can be, besides a text or a number. */
export interface SettingShape {
  /** As the option is called, without its dashes: `cors-origins`. */
  readonly name: string;
  /** As commander calls it: `corsOrigins`. */
  readonly attribute: string;
  /** A `switch` is true or false. `either`: an option with or without a value, which stands for true. */
  readonly kind: "value" | "switch" | "either";
  /** Whether a list is as good as a text with commas. */
  readonly isList: boolean;
  /** Whether its value is never shown. */
  readonly isSecret: boolean;
  /** What its help says that it is where nothing else is said. */
  readonly defaultText: string | undefined;
}

/** Options that are about settings, and none themselves. */
const aboutSettings: ReadonlySet<string> = new Set(["config", "print-config", "help"]);

/** The settings that a command has options for. They are taken from the options, so that nothing can be missing. */
export function settingShapesOf(command: Command): readonly SettingShape[] {
  const options = command.options.filter((option) => !aboutSettings.has(option.name()));
  return options.map((option) => {
    const kind = option.required ? "value" : option.optional ? "either" : "switch";
    const [, defaultText] = /\(default ([^)]+)\)/.exec(option.description) ?? [];
    return {
      name: option.name(),
      attribute: option.attributeName(),
      kind,
      isList: /<list>|,/.test(option.flags),
      isSecret: /(^|-)(token|secret|password|passphrase)$/.test(option.name()),
      defaultText: defaultText ?? (kind === "value" ? undefined : "false"),
    };
  });
}

/** The environment variable of a setting. */
export function variableOf(name: string): string {
  return `FLAGWIRE_${name.toUpperCase().replaceAll("-", "_")}`;
}
