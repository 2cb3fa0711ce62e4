import type { Change, FieldDifference } from "../../../gen/flagwire/v1/history_pb.js";
import { printable } from "../../base/index.js";

/** Said by the change's own line: who was turned on, killed or revived. */
const toldByVerb = /^targeting\.(enabled|killed)(\.|$)/;

/** How much of a line of history a value may take. */
const shortLength = 60;

/** What is different, a line a field: such as `  targeting.default.variant: "off" → "on"`. */
export function describeDifferences(
  changes: readonly Change[],
  options: { readonly maxLines: number; readonly isShort: boolean },
): readonly string[] {
  const named = changes.length > 1;
  const lines = changes.flatMap((change) =>
    change.differences
      .filter(({ path }) => !options.isShort || !toldByVerb.test(path))
      .map((difference) => `${named ? `${placeOf(change)} ` : ""}${describe(difference, options.isShort)}`),
  );
  const shown = lines.slice(0, options.maxLines);
  const more = lines.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map((line) => printable(line));
}

function placeOf({ key, environment }: Change): string {
  return environment === "" ? `${key}:` : `${key} in ${environment}:`;
}

function describe({ path, before, after }: FieldDifference, isShort: boolean): string {
  const value = (text: string) => (text === "" ? "nothing" : isShort ? shorten(text) : text);
  return `${path}: ${value(before)} → ${value(after)}`;
}

function shorten(text: string): string {
  return text.length <= shortLength ? text : `${text.slice(0, shortLength).replace(/[\ud800-\udbff]$/, "")}…`;
}
