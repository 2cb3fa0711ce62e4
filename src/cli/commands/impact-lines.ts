import type { FlagImpact, Impact, VariantMove } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Context, ContextSchema } from "../../../gen/flagwire/v1/evaluation_service_pb.js";
import { printable } from "../../base/index.js";
import { toDocument } from "../response-document.js";
import { counted } from "../text.js";

/** Those with the most contexts come first. */
const maximumFlags = 10;
const maximumMoves = 5;
/** How much of a line the context of an example may take. */
const maximumContextLength = 200;

/** Who would get another variant, a line a flag. `keptContexts`: how many contexts there are; undefined if that is not known. */
export function describeImpact(impact: Impact, keptContexts: number | undefined): readonly string[] {
  const { environment, flags, omittedFlags, triedContexts, changedContexts } = impact;
  const of = `of ${counted(triedContexts, "sampled context")} would get another variant`;
  const changed = flags.filter((flag) => flag.changedContexts > 0);
  const shown = changed.slice(0, maximumFlags);
  // Flags of which nobody was found come last, so where one is told, those that are left out are such flags too.
  const omitted = changed.length === flags.length ? omittedFlags : 0;
  const further = changed.length - shown.length + omitted;
  const isOne = changed.length + omitted === 1;
  const lines = [
    ...(isOne
      ? []
      : [`${changedContexts || "none"} ${of}${changedContexts > 0 ? " of some flag" : ""} in ${environment}`]),
    ...shown.map((flag) =>
      isOne
        ? `${flag.changedContexts} ${of} of ${describeFlag(flag, environment)}`
        : `  ${flag.changedContexts} of ${describeFlag(flag, "")}`,
    ),
    ...(further > 0 ? [`  and ${counted(further, "further flag")}`] : []),
    ...describeLimits(impact, keptContexts),
  ];
  return lines.map((line) => printable(line));
}

/** Such as `new-checkout in production: 9 off → on; such as {"targetingKey":"u17"} off → on`. */
function describeFlag({ flagKey, moves, examples }: FlagImpact, environment: string): string {
  const where = environment === "" ? "" : ` in ${environment}`;
  const shown = moves.slice(0, maximumMoves).map((move) => `${move.contexts} ${describeMove(move)}`);
  const more = moves.length > maximumMoves ? ", and others" : "";
  const [example] = examples;
  const such = example === undefined ? "" : `; such as ${describeContext(example.context)} ${describeMove(example)}`;
  return `${flagKey}${where}: ${shown.join(", ")}${more}${such}`;
}

function describeMove({ before, after }: Pick<VariantMove, "before" | "after">): string {
  const name = (variant: string) => (variant === "" ? "the caller's default" : variant);
  return `${name(before)} → ${name(after)}`;
}

/** In the one object that `eval --context` takes. */
function describeContext(context: Context | undefined): string {
  const { attributes } = context === undefined ? {} : toDocument(ContextSchema, context);
  const key = context?.targetingKey;
  const text = JSON.stringify({ ...(key ? { targetingKey: key } : {}), ...(attributes as object | undefined) });
  return text.length <= maximumContextLength
    ? text
    : `${text.slice(0, maximumContextLength).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** What the counts do not cover. */
function describeLimits(
  { flags, triedContexts, environment }: Impact,
  keptContexts: number | undefined,
): readonly string[] {
  // A few may have been kept since they were tried.
  const isPart = keptContexts !== undefined && triedContexts < 0.9 * keptContexts;
  const names = [...new Set(flags.flatMap(({ privateAttributes }) => privateAttributes))].sort();
  const concerned = flags.filter(({ privateAttributes }) => privateAttributes.length > 0).map(({ flagKey }) => flagKey);
  const more = concerned.length > maximumFlags ? ` and ${concerned.length - maximumFlags} more` : "";
  const keys = `${concerned.slice(0, maximumFlags).join(", ")}${more}`;
  return [
    ...(isPart
      ? [
          `only ${triedContexts} of the ${keptContexts} contexts that are kept of ${environment} were tried: the change concerns so many flags`,
        ]
      : []),
    ...(names.length > 0
      ? [`contexts are kept without private attributes, which decide here too: ${names.join(", ")} (${keys})`]
      : []),
  ];
}
